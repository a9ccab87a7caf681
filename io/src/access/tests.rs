//! Tokens that are accepted and, mostly, tokens that are not.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::header::HeaderValue;
use ring::hmac;
use serde_json::{Value, json};

use super::testing::{Issuer, message};
use super::*;

const NOW: i64 = 1_700_000_000;

fn access(issuer: &Issuer) -> Access {
    Access::new(&key(issuer), false)
}

fn key(issuer: &Issuer) -> JwtKey {
    JwtKey::from_base64(&issuer.public_key()).unwrap()
}

fn claims() -> Value {
    json!({"sub": "collector", "roles": ["api"], "exp": NOW + 60})
}

#[test]
fn a_signed_token_is_accepted_and_remembered() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let token = issuer.token(&claims());
    for _ in 0..3 {
        assert_eq!(access.check(token.as_bytes(), NOW), Ok(Validity { from: None, until: Some(NOW + 60) }));
        assert_eq!(access.known.borrow().len(), 1);
    }
    // What the reference does not look at, neither do we.
    let aimed = issuer.token(&json!({"exp": NOW + 1, "aud": ["somebody"], "iss": 7}));
    assert!(access.check(aimed.as_bytes(), NOW).is_ok());
}

#[test]
fn times_are_looked_at_on_every_call() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let token = issuer.token(&json!({"nbf": NOW, "exp": NOW + 60}));
    for (now, expected) in [
        (NOW - 1, Some(Unauthorized::NotYet)),
        (NOW, None),
        (NOW + 59, None),
        (NOW + 60, Some(Unauthorized::Expired)),
        (NOW + 61, Some(Unauthorized::Expired)),
        // The clock was set back.
        (NOW + 59, None),
        (NOW - 1, Some(Unauthorized::NotYet)),
    ] {
        assert_eq!(access.check(token.as_bytes(), now).err(), expected, "{now}");
    }
    let fraction = issuer.token(&json!({"exp": NOW as f64 + 0.5}));
    assert!(access.check(fraction.as_bytes(), NOW - 1).is_ok());
    let absurd = issuer.token(&json!({"exp": 1e300, "nbf": -1e300}));
    assert!(access.check(absurd.as_bytes(), NOW).is_ok());
    for times in [
        json!({"exp": "1800000000"}),
        json!({"exp": null}),
        json!({"exp": [NOW + 60]}),
        json!({"exp": NOW + 60, "nbf": "x"}),
    ] {
        let token = issuer.token(&times);
        let refused = access.check(token.as_bytes(), NOW).unwrap_err();
        assert!(matches!(refused, Unauthorized::Times | Unauthorized::NotAToken), "{times}: {refused:?}");
    }
    for exp in [json!(-1), json!(0), json!(-1e300)] {
        let token = issuer.token(&json!({"exp": exp}));
        assert_eq!(access.check(token.as_bytes(), NOW), Err(Unauthorized::Expired), "{exp}");
    }
}

#[test]
fn a_token_without_exp_is_accepted_unless_the_configuration_forbids_it() {
    let issuer = Issuer::new();
    let token = issuer.token(&json!({"sub": "collector"}));
    assert_eq!(access(&issuer).check(token.as_bytes(), NOW), Ok(Validity::default()));
    let strict = Access::new(&key(&issuer), true);
    for _ in 0..2 {
        assert_eq!(strict.check(token.as_bytes(), NOW), Err(Unauthorized::Endless));
    }
    assert!(strict.check(issuer.token(&claims()).as_bytes(), NOW).is_ok());
}

#[test]
fn no_other_algorithm_is_accepted() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    for name in [
        "none", "None", "NONE", "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384",
        "eddsa", "Ed25519", "",
    ] {
        let header = json!({"alg": name, "typ": "JWT"}).to_string();
        let signed = issuer.token_with(&header, &claims());
        let unsigned = message(&header, &claims().to_string());
        for token in [signed, format!("{unsigned}."), unsigned] {
            let refused = access.check(token.as_bytes(), NOW).unwrap_err();
            assert!(
                matches!(refused, Unauthorized::Algorithm | Unauthorized::NotAToken),
                "{name}: {refused:?}"
            );
        }
    }
    assert!(access.known.borrow().is_empty());
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let message = message(r#"{"alg":"HS256","typ":"JWT"}"#, &claims().to_string());
    let text = issuer.public_key();
    for secret in [STANDARD.decode(&text).unwrap(), text.into_bytes(), Vec::new()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        assert_eq!(access.check(token.as_bytes(), NOW), Err(Unauthorized::Algorithm));
    }
}

#[test]
fn a_key_in_the_token_itself_means_nothing() {
    let (issuer, thief) = (Issuer::new(), Issuer::new());
    let x = URL_SAFE_NO_PAD.encode(STANDARD.decode(thief.public_key()).unwrap());
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "../../dev/null",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}, "jku": "http://thief/keys"});
    let token = thief.token_with(&header.to_string(), &claims());
    assert_eq!(access(&issuer).check(token.as_bytes(), NOW), Err(Unauthorized::Signature));
}

#[test]
fn extensions_that_must_be_understood_are_not() {
    let issuer = Issuer::new();
    let token = issuer.token_with(r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#, &claims());
    assert_eq!(access(&issuer).check(token.as_bytes(), NOW), Err(Unauthorized::NotAToken));
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let token = issuer.token(&claims()).into_bytes();
    for length in 0..token.len() {
        assert!(access.check(&token[..length], NOW).is_err(), "cut at {length}");
    }
    for bit in 0..token.len() * 8 {
        let mut damaged = token.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(access.check(&damaged, NOW).is_err(), "bit {bit}");
    }
    assert!(access.check(&token, NOW).is_ok());
}

#[test]
fn garbage_is_refused() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let good = issuer.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let joined = |parts: &[&str]| parts.join(".");
    let other = Issuer::new().token(&claims());
    let foreign = other.rsplit('.').next().unwrap();
    for token in [
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "\u{0}".to_owned(),
        format!("{good}.x"),
        format!(".{good}"),
        format!("{good} "),
        joined(&[parts[1], parts[0], parts[2]]),
        joined(&[parts[0], parts[1], ""]),
        joined(&[parts[0], parts[1], foreign]),
        joined(&[parts[0], &format!("{}=", parts[1]), parts[2]]),
        issuer.token(&json!([1, 2])),
        issuer.token(&json!("text")),
        issuer.token_with("[]", &claims()),
        issuer.token_with(&"[".repeat(3000), &claims()),
        other.clone(),
    ] {
        assert!(access.check(token.as_bytes(), NOW).is_err(), "{token:?}");
    }
    assert_eq!(access.check(other.as_bytes(), NOW), Err(Unauthorized::Signature));
    let long = issuer.token(&json!({"exp": NOW + 60, "filler": "x".repeat(TOKEN_BYTES_MAX)}));
    assert_eq!(access.check(long.as_bytes(), NOW), Err(Unauthorized::TooLong));
    assert!(access.known.borrow().is_empty(), "nothing of this is remembered");
}

#[test]
fn a_core_remembers_a_bounded_number_of_tokens() {
    let issuer = Issuer::new();
    let access = access(&issuer);
    let token = |index: usize, exp: i64| issuer.token(&json!({"sub": index, "exp": exp}));
    let lasting = token(0, NOW + 1000);
    for index in 0..KNOWN_TOKENS_MAX {
        access.check(token(index + 1, NOW + 60).as_bytes(), NOW).unwrap();
    }
    assert_eq!(access.known.borrow().len(), KNOWN_TOKENS_MAX);
    access.check(lasting.as_bytes(), NOW + 60).unwrap();
    assert_eq!(access.known.borrow().len(), 1, "the expired make room");
    for index in 0..2 * KNOWN_TOKENS_MAX {
        access.check(token(index + 1, NOW + 100).as_bytes(), NOW + 61).unwrap();
        assert!(access.known.borrow().len() <= KNOWN_TOKENS_MAX);
    }
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn the_header_has_one_form() {
    let token = |values: &[&str], schemes| token_of(&headers(values), None, schemes).map(Cow::into_owned);
    let good = Ok(b"a.b.c".to_vec());
    for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c ", " Bearer a.b.c"] {
        assert_eq!(token(&[value], Schemes::Bearer), good, "{value:?}");
    }
    assert_eq!(token(&[], Schemes::Bearer), Err(Unauthorized::Missing));
    assert_eq!(token(&["token a.b.c"], Schemes::BearerOrToken), good);
    assert_eq!(token(&["Token telegraf:a.b.c"], Schemes::BearerOrToken), good);
    assert_eq!(token(&["Bearer a.b.c"], Schemes::BearerOrToken), good);
    for values in [
        &["a.b.c"][..],
        &["Token a.b.c"],
        &["Bearer"],
        &["Bearer "],
        &["Basic a.b.c"],
        &["Basic"],
        &["Bearera.b.c"],
        &["Bearer a", "Bearer a"],
    ] {
        assert_eq!(token(values, Schemes::Bearer), Err(Unauthorized::NotBearer), "{values:?}");
    }
}

#[test]
fn a_password_may_be_the_token_and_the_user_is_anybody() {
    let basic = |user_and_password: &str| format!("Basic {}", STANDARD.encode(user_and_password));
    for schemes in [Schemes::Bearer, Schemes::BearerOrToken] {
        let token = |value: &str, query| token_of(&headers(&[value]), query, schemes).map(Cow::into_owned);
        let good = Ok(b"a.b.c".to_vec());
        assert_eq!(token(&basic("telegraf:a.b.c"), None), good);
        assert_eq!(token(&basic(":a.b.c"), None), good);
        assert_eq!(token(&basic("u:a.b.c").replace("Basic", "bAsIc "), None), good);
        assert_eq!(token(basic("us:a.b.c").trim_end_matches('='), None), good, "without padding");
        assert_eq!(token(&basic("u:a:b"), None), Ok(b"a:b".to_vec()), "the user ends at the first colon");
        for bad in [basic("a.b.c"), basic("u:"), basic(""), "Basic !".to_owned(), basic("u:a.b.c") + "x"] {
            assert_eq!(token(&bad, Some("p=a.b.c")), Err(Unauthorized::NotBearer), "{bad}");
        }
        let token = |query| {
            token_of(&headers(&[]), query, schemes)
                .map_or(None, |token| String::from_utf8(token.into_owned()).ok())
        };
        assert_eq!(token(Some("db=c&u=telegraf&p=a%2Eb.c")).as_deref(), Some("a.b.c"));
        assert_eq!(token(Some("p=a.b.c")).as_deref(), Some("a.b.c"));
        for query in [None, Some(""), Some("u=a.b.c"), Some("p="), Some("pp=a.b.c"), Some("P=a.b.c")] {
            assert_eq!(token(query), None, "{query:?}");
        }
    }
}

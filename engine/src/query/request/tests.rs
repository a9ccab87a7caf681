//! Which bodies are taken, which are refused, and that no body does harm.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> QueryRequest {
    QueryRequest::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn error(body: &str) -> RequestError {
    QueryRequest::parse(body.as_bytes()).expect_err(body)
}

#[test]
fn a_full_query() {
    let request = parse(
        r#" {"cluster":"fritz","from":1700000040,"to":-1,"with-stats":false,"with-data":false,"with-padding":false,
        "queries":[{"metric":"flops_any","host":"f0201","type":"hwthread","type-ids":["0","1"],"subtype":"s",
                    "subtype-ids":["x"],"aggreg":true,"resolution":240,"scale-by":-1.5e-3}, {}],
        "for-all-nodes":["mem_bw"], "resample-algo":"average"}
        "#,
    );
    let query = Query {
        metric: "flops_any".into(),
        host: "f0201".into(),
        type_name: Some("hwthread".into()),
        type_ids: vec!["0".into(), "1".into()],
        subtype: Some("s".into()),
        subtype_ids: vec!["x".into()],
        aggregate: true,
        resolution: 240,
        scale_by: -0.0015,
    };
    assert_eq!(
        request,
        QueryRequest {
            cluster: "fritz".into(),
            from: 1_700_000_040,
            to: -1,
            with_stats: false,
            with_data: false,
            with_padding: false,
            queries: vec![query, Query::default()],
            for_all_nodes: Some(vec!["mem_bw".into()]),
            resample_algorithm: "average".into(),
            full_range: false,
        }
    );
}

#[test]
fn what_is_not_given_has_its_default() {
    for body in [
        "null",
        "{}",
        "\t\r\n { } ",
        r#"{"cluster":null,"from":null,"to":null,"with-stats":null,"with-data":null,"with-padding":null,
            "queries":null,"for-all-nodes":null,"resample-algo":null}"#,
        r#"{"unknown":[1,-0.5e+7,{"a":[],"b":{}},true,false,null,"\u12aF\n"],"Queries ":7}"#,
        "{} and whatever follows",
    ] {
        assert_eq!(parse(body), QueryRequest::default(), "{body}");
    }
    let nulls = r#"{"queries":[null,{"metric":null,"host":null,"type":null,"type-ids":null,"subtype":null,
        "subtype-ids":null,"aggreg":null,"resolution":null,"scale-by":null,"x":1}]}"#;
    assert_eq!(parse(nulls).queries, [Query::default(), Query::default()]);
    assert_eq!(parse(r#"{"for-all-nodes":[]}"#).for_all_nodes, Some(Vec::new()));
    assert_eq!(
        parse(r#"{"queries":[{"type":"","type-ids":[null]}]}"#).queries[0].type_name,
        Some(String::new())
    );
    assert_eq!(parse(r#"{"queries":[{"type-ids":["a",null]}]}"#).queries[0].type_ids, ["a", ""]);
}

#[test]
fn the_last_of_duplicates_counts_and_case_does_not() {
    let request =
        parse(r#"{"from":1,"FROM":2,"From":null,"With-Stats":false,"QUERIES":[{"Host":"a","host":"b"}]}"#);
    assert_eq!((request.from, request.with_stats), (2, false));
    assert_eq!(request.queries[0].host, "b");
    assert_eq!(parse(r#"{"queries":[{}],"queries":null}"#).queries, []);
}

#[test]
fn integers_are_written_as_integers() {
    for (text, expected) in
        [("0", 0), ("-0", 0), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
    {
        assert_eq!(parse(&format!("{{\"from\":{text}}}")).from, expected);
    }
    for text in ["1e3", "1.5", "1.0", "9223372036854775808", "1e999", "\"1\"", "true", "[]", "{}"] {
        let error = error(&format!("{{\"from\":{text}}}"));
        assert!(matches!(error, RequestError::WrongType { field: "from", offset: 8, .. }), "{text}: {error}");
    }
    for text in ["01", "+1", "-", "1.", ".5", "1e", "1e+", "0x1", "NaN", ""] {
        error(&format!("{{\"from\":{text}}}"));
        error(&format!("{{\"unknown\":{text}}}"));
    }
}

#[test]
fn factors_are_the_nearest_double() {
    let scale_by =
        |text: &str| parse(&format!("{{\"queries\":[{{\"scale-by\":{text}}}]}}")).queries[0].scale_by;
    assert_eq!(scale_by("1000000.0"), 1e6);
    assert_eq!(scale_by("1e-999"), 0.0);
    assert_eq!(scale_by("8.533e+68").to_bits(), 8.533e+68f64.to_bits());
    for text in ["1e999", "-1e400", "\"2\"", "true", "[1]"] {
        let error = error(&format!("{{\"queries\":[{{\"scale-by\":{text}}}]}}"));
        assert!(error.to_string().contains("scale-by"), "{error}");
    }
}

#[test]
fn a_wrong_type_is_named() {
    for (body, field) in [
        ("[]", "the request"),
        ("7", "the request"),
        ("\"x\"", "the request"),
        ("true", "the request"),
        (r#"{"cluster":1}"#, "cluster"),
        (r#"{"to":"x"}"#, "to"),
        (r#"{"with-stats":1}"#, "with-stats"),
        (r#"{"with-data":"true"}"#, "with-data"),
        (r#"{"with-padding":[]}"#, "with-padding"),
        (r#"{"queries":{}}"#, "queries"),
        (r#"{"queries":[1]}"#, "queries[]"),
        (r#"{"queries":[{"metric":["m"]}]}"#, "queries[].metric"),
        (r#"{"queries":[{"host":0}]}"#, "queries[].host"),
        (r#"{"queries":[{"type":{}}]}"#, "queries[].type"),
        (r#"{"queries":[{"type-ids":"0"}]}"#, "queries[].type-ids"),
        (r#"{"queries":[{"type-ids":[0]}]}"#, "queries[].type-ids"),
        (r#"{"queries":[{"subtype":false}]}"#, "queries[].subtype"),
        (r#"{"queries":[{"subtype-ids":[[]]}]}"#, "queries[].subtype-ids"),
        (r#"{"queries":[{"aggreg":0}]}"#, "queries[].aggreg"),
        (r#"{"queries":[{"resolution":60.0}]}"#, "queries[].resolution"),
        (r#"{"for-all-nodes":"m"}"#, "for-all-nodes"),
        (r#"{"resample-algo":true}"#, "resample-algo"),
    ] {
        let error = error(body);
        assert!(
            matches!(error, RequestError::WrongType { field: named, .. } if named == field),
            "{body}: {error}"
        );
        assert!(error.to_string().contains(&format!("{field} must be")), "{error}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for body in [
        "",
        "  ",
        "not json",
        "{",
        "{]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1}}"#,
        r#"{"a":tru}"#,
        r#"{"a":nul"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u+123"}"#,
        "{\"a\":\"\n\"}",
        r#"{"cluster":"c""#,
        r#"{"queries":[{}"#,
        "\u{feff}{}",
    ] {
        error(body);
    }
}

#[test]
fn strings_are_unescaped_and_mended() {
    let cluster = |text: &[u8]| {
        let body = [b"{\"cluster\":\"", text, b"\"}"].concat();
        QueryRequest::parse(&body).unwrap().cluster
    };
    assert_eq!(
        cluster(br#"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83D\uDe00"#),
        "\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}"
    );
    assert_eq!(cluster("é→😀".as_bytes()), "é→😀");
    assert_eq!(
        cluster(br"a\ud800b\udc00\ud800\ud800\udc00\ud800\u0041"),
        "a\u{fffd}b\u{fffd}\u{fffd}\u{10000}\u{fffd}A"
    );
    assert_eq!(cluster(b"a\xff\xe2\x82b\xed\xa0\x80"), "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}");
    let key = b"{\"clu\xffster\":7,\"\\u0066rom\":5}";
    assert_eq!(QueryRequest::parse(key).unwrap().from, 5);
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        let deep = open.repeat(100_000);
        error(&deep);
        let error = error(&format!("{{\"x\":{deep}"));
        assert!(matches!(error, RequestError::TooDeep { .. }), "{error}");
        QueryRequest::parse(format!("{{\"queries\":{deep}").as_bytes()).unwrap_err();
    }
    let fits = format!("{{\"x\":{}{},\"from\":3}}", "[".repeat(9_000), "]".repeat(9_000));
    assert_eq!(parse(&fits).from, 3);
}

/// Whether the field `x` of this text is JSON, by another parser.
fn is_json(body: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(body);
    <serde::de::IgnoredAny as serde::Deserialize<'_>>::deserialize(&mut reader).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 4_000 }))]

    #[test]
    fn any_bytes(body: Vec<u8>) {
        let _ = QueryRequest::parse(&body);
        let _ = parse_selectors(&body);
        let _ = HealthRequest::parse(&body);
    }

    #[test]
    fn agrees_with_another_parser_on_what_is_json(
        parts in proptest::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"", "\"a\"", "\"a\":", "\"b\":", "null", "true", "false", "0", "1", "-", ".", "e",
            "e+", "12.5e-3", " ", "\n", "\\", "\\u00", "\\n", "[]", "{}", "1,", "\"\",",
        ]), 0..12),
    ) {
        let body = format!("{{\"x\":{}}}", parts.concat());
        prop_assert_eq!(QueryRequest::parse(body.as_bytes()).is_ok(), is_json(&body), "{}", body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

    #[test]
    fn a_query_survives_its_echo(
        metric: String,
        host: String,
        type_name: Option<String>,
        type_ids: Vec<String>,
        subtype: Option<String>,
        subtype_ids: Vec<String>,
        aggregate: bool,
        resolution: i64,
        quarters in -4000i32..4000,
    ) {
        let scale_by = f64::from(quarters) / 4.0;
        let query = Query { metric, host, type_name, type_ids, subtype, subtype_ids, aggregate, resolution, scale_by };
        let mut body = b"{\"queries\":[".to_vec();
        push_query_echo(&mut body, &query);
        body.extend_from_slice(b"]}");
        prop_assert_eq!(QueryRequest::parse(&body).unwrap().queries, [query]);
    }

    #[test]
    fn a_cut_body_is_refused(cut in 1usize..100) {
        let body = br#"{"cluster":"c","from":1,"queries":[{"metric":"m","host":"h","type-ids":["0"],"aggreg":true}],"x":{}}"#;
        prop_assert!(QueryRequest::parse(&body[..body.len() - cut]).is_err());
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn lists_are_bounded_all_together() {
    let ids = "\"\",".repeat(crate::limits::REQUEST_ELEMENTS_MAX / 2);
    let body = |lists: usize| {
        let list = format!("{{\"type-ids\":[{}\"\"]}}", ids);
        format!("{{\"queries\":[{}]}}", vec![list; lists].join(",")).into_bytes()
    };
    assert!(QueryRequest::parse(&body(1)).is_ok());
    let error = QueryRequest::parse(&body(2)).unwrap_err();
    assert!(matches!(error, RequestError::TooMany { .. }), "{error}");
    assert!(error.to_string().contains("4000000 elements"), "{error}");
}

//! Decoder and encoder against each other, against gzip and zstd of other makers, and against damage.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use flate2::Crc;
use hyper::header::HeaderValue;
use proptest::prelude::*;

use super::*;

const CODINGS: [Coding; 2] = [Coding::Gzip, Coding::Zstd];

/// What `zstd -19` (1.5.4) makes of [`lines`]`(6)`.
const ZSTD_FROM_ELSEWHERE: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x64, 0x62, 0x00, 0xbd, 0x02, 0x00, 0xb4, 0x03, 0x63, 0x70, 0x75, 0x5f, 0x6c,
    0x6f, 0x61, 0x64, 0x2c, 0x63, 0x6c, 0x75, 0x73, 0x74, 0x65, 0x72, 0x3d, 0x66, 0x72, 0x69, 0x74, 0x7a,
    0x2c, 0x68, 0x6f, 0x73, 0x74, 0x6e, 0x61, 0x6d, 0x65, 0x3d, 0x66, 0x30, 0x20, 0x76, 0x61, 0x6c, 0x75,
    0x65, 0x3d, 0x30, 0x2e, 0x35, 0x20, 0x31, 0x37, 0x30, 0x0a, 0x31, 0x31, 0x32, 0x32, 0x33, 0x33, 0x34,
    0x34, 0x35, 0x35, 0x0d, 0xa0, 0x10, 0xd8, 0xf9, 0x65, 0xcf, 0x01, 0xe0, 0x35, 0x07, 0xd2, 0x3d, 0x66,
    0x8e, 0xd9, 0xb1, 0xec, 0xd8, 0x4c, 0x4f, 0xe0, 0x56, 0x40, 0xdf, 0x01, 0x04, 0x80, 0xe4, 0x46,
];
/// A skippable zstd frame of three bytes.
const ZSTD_SKIPPABLE: &[u8] = &[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];

/// Line protocol of so many hosts.
fn lines(hosts: usize) -> Vec<u8> {
    (0..hosts)
        .flat_map(|host| {
            format!("cpu_load,cluster=fritz,hostname=f{host:04} value={}.5 1700000000\n", host % 7)
                .into_bytes()
        })
        .collect()
}

fn decoder_of(header: &str) -> Result<BodyDecoder, UnsupportedEncoding> {
    decoder(Some(&HeaderValue::from_bytes(header.as_bytes()).unwrap()))
}

/// What the chunks decode to, until the end or the first error.
fn decode_chunks<'a>(
    coding: Coding,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), DecodeError>) {
    let mut decoder = decoder_of(coding.name()).unwrap();
    let mut plain = Vec::new();
    for chunk in chunks {
        let mut pending = decoder.feed(chunk);
        loop {
            match pending.next() {
                Ok(Some(piece)) => {
                    assert!(piece.len() <= PIECE_BYTES_MAX);
                    plain.extend_from_slice(piece);
                }
                Ok(None) => break,
                Err(error) => return (plain, Err(error)),
            }
        }
    }
    (plain, decoder.finish())
}

fn decode(coding: Coding, body: &[u8]) -> (Vec<u8>, Result<(), DecodeError>) {
    decode_chunks(coding, [body])
}

fn fault_of(coding: Coding, body: &[u8]) -> Fault {
    decode(coding, body).1.expect_err("the body is damaged").fault
}

fn encode(coding: Coding, raw: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding).unwrap();
    let mut out = Vec::new();
    encoder.encode(raw, &mut out);
    encoder.finish(&mut out);
    out
}

/// What a program makes of its input.
fn run(program: &str, argument: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} {argument}");
    output.stdout
}

#[test]
fn content_encoding_names_one_known_coding() {
    for header in ["", " ", ",", "identity", "Identity", "identity,"] {
        assert!(decoder_of(header).unwrap().is_identity(), "{header:?}");
    }
    assert!(decoder(None).unwrap().is_identity());
    for (header, body) in [
        ("gzip", encode(Coding::Gzip, b"x")),
        ("GZIP", encode(Coding::Gzip, b"x")),
        (" x-gzip ", encode(Coding::Gzip, b"x")),
        ("X-GZip,", encode(Coding::Gzip, b"x")),
        ("zstd", encode(Coding::Zstd, b"x")),
        ("ZStd", encode(Coding::Zstd, b"x")),
    ] {
        let mut decoder = decoder_of(header).unwrap();
        assert_eq!(decoder.feed(&body).next(), Ok(Some(&b"x"[..])), "{header:?}");
    }
    for header in ["deflate", "br", "gzip, gzip", "gzip,zstd", "identity, gzip", "gzip;q=1", "gzi", "*"] {
        let error = decoder_of(header).expect_err(header);
        assert_eq!(error.quoted, header);
    }
    let twice = [HeaderValue::from_static("gzip"), HeaderValue::from_static("zstd")];
    assert_eq!(decoder(&twice).unwrap_err().quoted, "zstd");
    let long = decoder_of(&"\u{e9}".repeat(500)).unwrap_err();
    assert_eq!(long.quoted, "\\xc3\\xa9".repeat(8));
    assert_eq!(
        decoder_of("br").unwrap_err().to_string(),
        "Content-Encoding \"br\" is not supported: use one of gzip, zstd, identity"
    );
}

#[test]
fn identity_hands_the_input_on_in_pieces() {
    let input = vec![7; 2 * PIECE_BYTES_MAX + 1];
    let mut decoder = BodyDecoder::Identity;
    let mut pending = decoder.feed(&input);
    let mut sizes = Vec::new();
    while let Some(piece) = pending.next().unwrap() {
        assert!(input.as_ptr_range().contains(&piece.as_ptr()), "a piece is part of the input");
        sizes.push(piece.len());
    }
    assert_eq!(sizes, [PIECE_BYTES_MAX, PIECE_BYTES_MAX, 1]);
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn other_programs_understand_and_are_understood() {
    let plain = lines(5000);
    assert!(run("gzip", "-dc", &encode(Coding::Gzip, &plain)) == plain);
    assert_eq!(run("gzip", "-dc", &encode(Coding::Gzip, b"")), b"");
    for level in ["-1", "-9"] {
        assert!(decode(Coding::Gzip, &run("gzip", level, &plain)) == (plain.clone(), Ok(())), "{level}");
    }
    assert_eq!(decode(Coding::Zstd, ZSTD_FROM_ELSEWHERE), (lines(6), Ok(())));
}

#[test]
fn members_and_frames_may_follow_each_other() {
    for coding in CODINGS {
        let (one, none, two) = (encode(coding, b"one"), encode(coding, b""), encode(coding, b"two"));
        let body = [&one[..], &none, &none, &two, &none].concat();
        assert_eq!(decode(coding, &body), (b"onetwo".to_vec(), Ok(())), "{coding}");
        let by_bytes = decode_chunks(coding, body.chunks(1));
        assert_eq!(by_bytes, (b"onetwo".to_vec(), Ok(())), "{coding}");
        assert_eq!(decode(coding, &none), (Vec::new(), Ok(())), "{coding}");
    }
    let frame = encode(Coding::Zstd, b"data");
    let body = [ZSTD_SKIPPABLE, &frame, ZSTD_SKIPPABLE, &frame, ZSTD_SKIPPABLE].concat();
    assert_eq!(decode(Coding::Zstd, &body), (b"datadata".to_vec(), Ok(())));
}

#[test]
fn all_fields_of_a_gzip_header_are_passed_over() {
    let plain_member = encode(Coding::Gzip, b"data");
    for flags in 0..0x20u8 {
        let mut body = plain_member[..10].to_vec();
        body[3] = flags;
        if flags & 0x04 != 0 {
            let extra = [b'x'; 300];
            body.extend([(extra.len() % 256) as u8, (extra.len() / 256) as u8]);
            body.extend(extra);
        }
        for (flag, text) in [(0x08, "name\0"), (0x10, "\0")] {
            body.extend(if flags & flag != 0 { text.as_bytes() } else { b"" });
        }
        if flags & 0x02 != 0 {
            let mut crc = Crc::new();
            crc.update(&body);
            body.extend(&crc.sum().to_le_bytes()[..2]);
        }
        let header_bytes = body.len();
        body.extend(&plain_member[10..]);
        assert_eq!(decode(Coding::Gzip, &body), (b"data".to_vec(), Ok(())), "flags {flags:#x}");
        if flags & 0x02 != 0 {
            body[header_bytes - 1] ^= 1;
            assert_eq!(fault_of(Coding::Gzip, &body), Fault::GzipHeaderChecksum);
        }
    }
    let empty_extra = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 0, 0], &plain_member[10..]].concat();
    assert_eq!(decode(Coding::Gzip, &empty_extra), (b"data".to_vec(), Ok(())));
}

#[test]
fn damage_is_named_with_its_place() {
    let body = encode(Coding::Gzip, b"data");
    let with = |index: usize, byte: u8| {
        let mut damaged = body.clone();
        damaged[index] = byte;
        fault_of(Coding::Gzip, &damaged)
    };
    assert_eq!(with(0, 0), Fault::GzipMagic);
    assert_eq!(with(2, 7), Fault::GzipHeader);
    assert_eq!(with(3, 0x80), Fault::GzipHeader);
    // A deflate block of the reserved type.
    assert_eq!(with(10, 0x07), Fault::Deflate);
    assert_eq!(with(body.len() - 8, !body[body.len() - 8]), Fault::GzipChecksum);
    assert_eq!(with(body.len() - 1, 1), Fault::GzipLength);

    let (plain, result) = decode(Coding::Gzip, b"cpu_load,cluster=a");
    assert_eq!(plain, b"");
    assert_eq!(
        result.unwrap_err().to_string(),
        "the body is not valid gzip, at byte 1: no gzip member begins here; is it compressed at all, or is something behind it?"
    );
    assert!(matches!(fault_of(Coding::Zstd, b"cpu_load,cluster=a"), Fault::Zstd(_)));
}

#[test]
fn garbage_behind_the_end_is_an_error_after_the_data() {
    for coding in CODINGS {
        let body = encode(coding, &lines(10));
        for garbage in [&b"\0"[..], b"garbage", &body[..3], &[0; 1000]] {
            let (plain, result) = decode(coding, &[&body, garbage].concat());
            assert_eq!(plain, lines(10), "{coding} {garbage:?}");
            let error = result.expect_err("garbage is no member");
            assert!((body.len() as u64..=body.len() as u64 + 4).contains(&error.byte), "{error}");
        }
    }
}

#[test]
fn an_error_stays() {
    for coding in CODINGS {
        let mut decoder = decoder_of(coding.name()).unwrap();
        let first = decoder.feed(b"garbage").next().map(|_| ()).unwrap_err();
        let good = encode(coding, b"data");
        assert_eq!(decoder.feed(&good).next(), Err(first.clone()));
        assert_eq!(decoder.finish(), Err(first));
    }
}

#[test]
fn every_cut_is_an_error() {
    for coding in CODINGS {
        let body = encode(coding, &lines(20));
        for length in 0..body.len() {
            let (plain, result) = decode(coding, &body[..length]);
            let truncated = DecodeError { coding, byte: length as u64, fault: Fault::Truncated };
            assert_eq!(result, Err(truncated), "{coding} cut at {length}");
            assert!(lines(20).starts_with(&plain));
        }
    }
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    for coding in CODINGS {
        let body = encode(coding, &lines(6));
        let mut errors = 0;
        for bit in 0..body.len() * 8 {
            let mut damaged = body.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (plain, result) = decode(coding, &damaged);
            assert!(result.is_err() || plain == lines(6), "{coding} bit {bit}");
            errors += usize::from(result.is_err());
        }
        // Harmless are the time, system and flags of a gzip header (10 bytes), and what a zstd window size says.
        assert!(errors >= body.len() * 8 - 80, "{coding}: only {errors} of {} are found", body.len() * 8);
    }
}

#[test]
fn a_bomb_comes_out_in_bounded_pieces() {
    const PLAIN_BYTES: usize = 64 * 1024 * 1024;
    for coding in CODINGS {
        let mut encoder = Encoder::new(coding).unwrap();
        let mut body = Vec::new();
        for _ in 0..PLAIN_BYTES / PIECE_BYTES_MAX {
            encoder.encode(&[b'\n'; PIECE_BYTES_MAX], &mut body);
        }
        encoder.finish(&mut body);
        assert!(body.len() < PLAIN_BYTES / 100);

        let mut decoder = decoder_of(coding.name()).unwrap();
        let mut plain_bytes = 0;
        let mut pending = decoder.feed(&body);
        while let Some(piece) = pending.next().unwrap() {
            assert!(piece.len() <= PIECE_BYTES_MAX);
            plain_bytes += piece.len();
        }
        assert_eq!((plain_bytes, decoder.finish()), (PLAIN_BYTES, Ok(())), "{coding}");
    }
}

#[test]
fn input_without_output_still_comes_in_steps() {
    // A million bytes of name in a header; a million bytes of empty frames.
    let name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255][..], &[b'x'; 1_000_000]].concat();
    let empty_frame = encode(Coding::Zstd, b"");
    let frames = empty_frame.repeat(1_000_000 / empty_frame.len());
    for (coding, body) in [(Coding::Gzip, name), (Coding::Zstd, frames)] {
        let mut decoder = decoder_of(coding.name()).unwrap();
        let mut pending = decoder.feed(&body);
        let mut steps = 0;
        while let Some(piece) = pending.next().unwrap() {
            assert_eq!(piece, b"");
            steps += 1;
        }
        assert!(steps >= body.len() / PIECE_BYTES_MAX, "{coding}: {steps} steps");
    }
}

#[test]
fn a_zstd_window_above_the_limit_is_refused() {
    // Frame headers without content size: a window of 2^(10 + exponent), then one raw block of a byte, the last one.
    let frame =
        |exponent: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 0x09, 0, 0], &b"x"[..]].concat();
    assert_eq!(decode(Coding::Zstd, &frame(13)), (b"x".to_vec(), Ok(())));
    for exponent in [14, 17, 21, 31] {
        assert_eq!(fault_of(Coding::Zstd, &frame(exponent)), Fault::ZstdWindow, "2^{}", exponent + 10);
    }
}

/// Text that compresses, with bytes between that do not.
fn plain_bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (0..3000usize).prop_map(lines),
        (any::<u8>(), 0..200_000usize).prop_map(|(byte, count)| vec![byte; count]),
        prop::collection::vec(any::<u8>(), 0..5000),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

/// `bytes` in chunks of these sizes, over and over.
fn chunks<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    sizes.iter().cycle().map_while(move |&size| {
        let (chunk, rest) = bytes.split_at(size.min(bytes.len()));
        let is_end = bytes.is_empty();
        bytes = rest;
        (!is_end).then_some(chunk)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_body_survives_any_cutting(
        plain in plain_bytes(),
        raw_sizes in prop::collection::vec(1..100_000usize, 1..5),
        body_sizes in prop::collection::vec(1..20_000usize, 1..5),
    ) {
        for coding in CODINGS {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut body = Vec::new();
            for slice in chunks(&plain, &raw_sizes) {
                encoder.encode(slice, &mut body);
            }
            encoder.finish(&mut body);
            let (decoded, result) = decode_chunks(coding, chunks(&body, &body_sizes));
            prop_assert_eq!(result, Ok(()));
            prop_assert!(decoded == plain, "{} differs", coding);
        }
    }

    #[test]
    fn random_bytes_never_panic(
        body in prop::collection::vec(any::<u8>(), 0..2000),
        with_header in any::<bool>(),
    ) {
        for (coding, header) in [(Coding::Gzip, &encode(Coding::Gzip, b"")[..10]), (Coding::Zstd, &ZSTD_FROM_ELSEWHERE[..8])] {
            let body = if with_header { [header, &body].concat() } else { body.clone() };
            let whole = decode(coding, &body);
            let by_bytes = decode_chunks(coding, body.chunks(1));
            prop_assert_eq!(whole.1.is_ok(), by_bytes.1.is_ok());
            prop_assert!(by_bytes.0.starts_with(&whole.0));
        }
    }
}

use super::*;
use registrar_aggregates::Decide;
use registrar_aggregates::key_ring::KeyRingCommand;

const ISSUER: &str = "https://registrar.example.com";

fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: "5d3dcf3f-8f0c-4cbb-8d0e-1c8a0b1c2d3e".into(),
        jti: "0190f3a0-0000-7000-8000-000000000000".into(),
        iat: 1_000,
        exp: 4_600,
        organization: None,
        permissions: None,
        sid: None,
        epoch: 0,
        additional: BTreeMap::new(),
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 999_000_000).expect("in range")
}

fn key() -> (SigningKey, VerifyingKey) {
    let key = generate_key().expect("a key");
    let public = public_key(&key).expect("its public half");
    (key, public)
}

fn verify(token: &str, key: &VerifyingKey) -> Result<Claims, TokenError> {
    Unverified::parse(token)?.verify(key)
}

fn with_header(token: &str, header: &serde_json::Value) -> String {
    let rest = token.split_once('.').expect("three parts").1;
    format!("{}.{rest}", BASE64URL.encode(header.to_string()))
}

/// Signs any text, as a party with the key could.
fn sign_text(header: &str, payload: &str, key: &SigningKey) -> String {
    let der = BASE64.decode(&key.private_key).expect("base64");
    let signing = ed25519_dalek::SigningKey::from_pkcs8_der(&der).expect("PKCS #8");
    let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    format!("{signed}.{}", BASE64URL.encode(signing.sign(signed.as_bytes()).to_bytes()))
}

#[test]
fn signed_claims_are_read_back() {
    let (key, public) = key();
    let narrowed = Claims { organization: Some("o1".into()), permissions: Some(vec!["audit.read".into()]), ..claims() };
    for claims in [claims(), narrowed] {
        let token = sign(&claims, &key).expect("signed");
        assert_eq!(Unverified::parse(&token).expect("a token").key_id, key.key_id);
        assert_eq!(verify(&token, &public), Ok(claims));
    }
}

#[test]
fn a_token_of_another_key_is_not_believed() {
    let ((key, _), (_, other)) = (key(), self::key());
    let token = sign(&claims(), &key).expect("signed");
    assert_eq!(verify(&token, &other), Err(TokenError::WrongSignature));
}

#[test]
fn a_changed_claim_is_not_believed() {
    let (key, public) = key();
    let token = sign(&claims(), &key).expect("signed");
    let parts: Vec<_> = token.split('.').collect();
    let richer = BASE64URL.encode(serde_json::to_vec(&Claims { exp: i64::MAX, ..claims() }).expect("JSON"));
    assert_eq!(verify(&format!("{}.{richer}.{}", parts[0], parts[2]), &public), Err(TokenError::WrongSignature));
}

#[test]
fn no_other_algorithm_is_taken_nor_none() {
    let (key, public) = key();
    let token = sign(&claims(), &key).expect("signed");
    for algorithm in ["none", "None", "HS256", "RS256", "ES256", "eddsa", "Ed25519", ""] {
        let forged = with_header(&token, &json!({"alg": algorithm, "kid": key.key_id}));
        assert_eq!(verify(&forged, &public), Err(TokenError::Malformed), "{algorithm}");
    }
    let unsigned = with_header(&token, &json!({"alg": "none"}));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').expect("three parts").0);
    assert_eq!(verify(&unsigned, &public), Err(TokenError::Malformed));
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    use hmac::{Hmac, KeyInit, Mac};
    let (key, public) = key();
    let token = sign(&claims(), &key).expect("signed");
    let forged = with_header(&token, &json!({"alg": "HS256", "kid": key.key_id}));
    let signed = forged.rsplit_once('.').expect("three parts").0;
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(public.as_bytes()).expect("any length");
    mac.update(signed.as_bytes());
    let forged = format!("{signed}.{}", BASE64URL.encode(mac.finalize().into_bytes()));
    assert_eq!(verify(&forged, &public), Err(TokenError::Malformed));
}

#[test]
fn extensions_that_must_be_understood_are_not() {
    let (key, public) = key();
    let header = json!({"alg": "EdDSA", "kid": key.key_id, "crit": ["b64"], "b64": false}).to_string();
    let token = sign_text(&header, &serde_json::to_string(&claims()).expect("JSON"), &key);
    assert_eq!(verify(&token, &public), Err(TokenError::Malformed));
}

#[test]
fn malformed_tokens_are_refused() {
    let (key, public) = key();
    let token = sign(&claims(), &key).expect("signed");
    let padded = format!("{token}=");
    let four = format!("{token}.x");
    let two = token.rsplit_once('.').expect("three parts").0.to_owned();
    let short = token[..token.len() - 4].to_owned();
    let long = format!("{token}{}", "A".repeat(10_000));
    for text in ["", ".", "..", "...", "a.b.c", "é.é.é", "\0", &padded, &four, &two, &short, &long] {
        assert_eq!(verify(text, &public), Err(TokenError::Malformed), "{text:.60}");
    }
}

#[test]
fn signed_claims_of_another_shape_are_refused() {
    let (key, public) = key();
    let header = json!({"alg": "EdDSA", "kid": key.key_id}).to_string();
    let good = serde_json::to_value(claims()).expect("JSON");
    let mut shapes = vec!["null".into(), "[]".into(), "{}".into(), r#"{"exp":1,"exp":2}"#.into(), "{".into()];
    for member in ["iss", "aud", "sub", "jti", "iat", "exp"] {
        let mut without = good.clone();
        without.as_object_mut().expect("an object").remove(member);
        shapes.push(without.to_string());
    }
    let mut text = good.clone();
    text["exp"] = json!("4600");
    shapes.push(text.to_string());
    for payload in shapes {
        assert_eq!(verify(&sign_text(&header, &payload, &key), &public), Err(TokenError::Malformed), "{payload}");
    }
}

#[test]
fn a_token_ends_on_the_second_without_leeway() {
    assert_eq!(claims().check(Some(ISSUER), at(4_599)), Ok(()));
    assert_eq!(claims().check(Some(ISSUER), at(4_600)), Err(TokenError::Expired));
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    let elsewhere = Claims { iss: "https://registrar.example.org".into(), ..claims() };
    let for_others = Claims { aud: "account".into(), ..claims() };
    assert_eq!(elsewhere.check(Some(ISSUER), at(2_000)), Err(TokenError::NotForUs));
    assert_eq!(for_others.check(Some(ISSUER), at(2_000)), Err(TokenError::NotForUs));
    assert_eq!(for_others.check(None, at(2_000)), Err(TokenError::NotForUs));
}

#[test]
fn a_server_without_a_name_goes_by_the_key_alone() {
    assert_eq!(claims().check(None, at(2_000)), Ok(()));
}

#[test]
fn a_stock_library_verifies_our_tokens_with_the_published_keys() {
    let mut ring = KeyRing::default();
    let (key, _) = key();
    for event in ring.decide(KeyRingCommand::Establish { key: key.clone() }).expect("never refused") {
        cqrs_es::Aggregate::apply(&mut ring, event);
    }
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks(&ring, at(0))).expect("a JWK set");
    let published = set.find(&key.key_id).expect("the key is in it");
    assert_eq!(published.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).expect("a thumbprint"), key.key_id);

    let token = sign(&Claims { exp: i64::from(u32::MAX), ..claims() }, &key).expect("signed");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let decoding = jsonwebtoken::DecodingKey::from_jwk(published).expect("a key");
    let read = jsonwebtoken::decode::<Claims>(&token, &decoding, &validation).expect("verified").claims;
    assert_eq!(read.sub, claims().sub);
}

#[test]
fn retired_keys_are_published_until_their_end() {
    let mut ring = KeyRing::default();
    let (first, second) = (key().0, key().0);
    let rotate = KeyRingCommand::Rotate { key: second.clone(), present_verifies_until: at(100) };
    for command in [KeyRingCommand::Establish { key: first.clone() }, rotate] {
        for event in ring.decide(command).expect("never refused") {
            cqrs_es::Aggregate::apply(&mut ring, event);
        }
    }
    let ids = |now| {
        let set = jwks(&ring, now);
        set["keys"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|key| key["kid"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(at(99)), [first.key_id, second.key_id.clone()]);
    assert_eq!(ids(at(100)), [second.key_id]);
    assert!(!jwks(&ring, at(0)).to_string().contains(&first.private_key));
}

#[test]
fn altered_keys_are_errors_and_no_panics() {
    let (good, _) = key();
    for text in ["", "AAAA", "!", &"A".repeat(10_000)] {
        assert!(public_key(&SigningKey { public_key: text.into(), ..good.clone() }).is_err());
        assert!(sign(&claims(), &SigningKey { private_key: text.into(), ..good.clone() }).is_err());
    }
}

#[test]
fn a_token_from_the_future_is_refused() {
    let later = |seconds: i64| Claims { iat: 1_000 + seconds, ..claims() };
    assert_eq!(later(60).check(Some(ISSUER), at(1_000)), Ok(()));
    assert_eq!(later(61).check(Some(ISSUER), at(1_000)), Err(TokenError::FromTheFuture));
}

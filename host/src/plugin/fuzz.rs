//! Whatever a guest answers: what passes the checks of `contract` bears what is done with it next.
//!
//! An input is read byte by byte, so that a seed can be made by hand: the first says which answer it
//! is, and `number` and `text` how the rest is read.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value};

use super::contract;
use super::types::{
    AuthMethod, Credential, Delivery, Field, FieldType, Limits, Manifest, Problem, Rejection,
    Route, Staged, Throttle,
};

/// Most rows and columns of a made-up batch: more shows nothing new and takes longer.
const MANY: u8 = 12;

/// One answer: `s`taged, `d`elivery, `m`anifest, `t`oken.
pub fn answers(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // An input that ends too early is none.
    let _ = match input.arbitrary() {
        Ok(b's') => staged(&mut input),
        Ok(b'd') => delivery(&mut input),
        Ok(b'm') => manifest(&mut input),
        Ok(b't') => token(&mut input),
        _ => Ok(()),
    };
}

/// A byte is itself, the uppermost stand for the uppermost numbers.
fn number(input: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match input.arbitrary::<u8>()? {
        byte @ 240.. => u32::MAX - u32::from(u8::MAX - byte),
        byte => byte.into(),
    })
}

/// A length, and so many bytes.
fn text(input: &mut Unstructured<'_>) -> Result<String> {
    let length = input.arbitrary::<u8>()?;
    let bytes = input.bytes(usize::from(length).min(input.len()))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// A length, and so many of something.
fn list<T>(
    input: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let length = input.arbitrary::<u8>()? % (MANY + 1);
    (0..length).map(|_| one(input)).collect()
}

fn rejection(input: &mut Unstructured<'_>) -> Result<Rejection> {
    Ok(Rejection {
        row: number(input)?,
        field: Some(text(input)?).filter(|field| !field.is_empty()),
        reason: text(input)?,
    })
}

fn rows(input: &mut Unstructured<'_>) -> Result<usize> {
    Ok(usize::from(input.arbitrary::<u8>()? % (MANY + 1)))
}

fn staged(input: &mut Unstructured<'_>) -> Result<()> {
    let rows = rows(input)?;
    let staged = Staged {
        bytes: text(input)?.into_bytes(),
        start: number(input)?,
        ends: list(input, number)?,
        rejected: list(input, rejection)?,
        identities: text(input)?,
        identity_ends: list(input, number)?,
        identity_rows: list(input, number)?,
        extra: vec![],
    };
    if contract::staged(&staged, rows).is_ok() {
        crate::export::fuzz::staged(&staged, rows);
    }
    Ok(())
}

fn delivery(input: &mut Unstructured<'_>) -> Result<()> {
    let rows = rows(input)?;
    let delivery = Delivery {
        rejected: list(input, rejection)?,
        retry: list(input, number)?,
        why: match input.arbitrary::<u8>()? {
            b't' => Some(Problem::Transient(text(input)?)),
            b'f' => Some(Problem::Fatal(text(input)?)),
            b'u' => Some(Problem::Unauthorized(text(input)?)),
            b's' => Some(Problem::InvalidSettings(vec![])),
            b'w' => Some(Problem::Throttled(Throttle {
                message: text(input)?,
                retry_after_ms: Some(number(input)?).filter(|&wait| wait > 0),
            })),
            _ => None,
        },
        extra: vec![],
    };
    if contract::delivery(&delivery, rows).is_ok() {
        crate::export::fuzz::delivery(delivery, rows);
    }
    Ok(())
}

fn token(input: &mut Unstructured<'_>) -> Result<()> {
    let token = text(input)?.repeat(number(input)?.min(1000) as usize);
    let fits = (1..=contract::TOKEN_LIMIT_BYTES).contains(&token.len());
    let kept = fits && !token.contains(char::is_control);
    assert_eq!(contract::token(&token).is_ok(), kept);
    Ok(())
}

fn manifest(input: &mut Unstructured<'_>) -> Result<()> {
    let pair = |input: &mut Unstructured<'_>| Ok((text(input)?, text(input)?));
    let options = text(input)?;
    // Longer than a text otherwise is: here a plugin says most.
    let length = usize::from(input.arbitrary::<u16>()?).min(input.len());
    let schema = String::from_utf8_lossy(input.bytes(length)?).into_owned();
    let manifest = Manifest {
        name: text(input)?,
        version: text(input)?,
        description: text(input)?,
        auth_methods: list(input, |input| {
            Ok(AuthMethod {
                id: text(input)?,
                label: text(input)?,
                credentials: list(input, |input| {
                    Ok(Credential {
                        id: text(input)?,
                        label: text(input)?,
                        description: text(input)?,
                    })
                })?,
                headers: list(input, pair)?,
            })
        })?,
        endpoint: text(input)?,
        routes: list(input, |input| {
            let (method, path) = pair(input)?;
            Ok(Route {
                method,
                path,
                purpose: text(input)?,
            })
        })?,
        fields: list(input, |input| {
            Ok(Field {
                name: text(input)?,
                type_: FieldType::Text,
                format: text(input)?,
                required: false,
                composable: false,
                description: text(input)?,
            })
        })?,
        custom_fields: Some(text(input)?).filter(|form| !form.is_empty()),
        options_schema: schema,
        limits: Limits {
            file_bytes: number(input)?.into(),
            file_rows: number(input)?.into(),
            stage_rows: number(input)?,
            deliver_rows: number(input)?,
        },
        extra: vec![],
    };
    if contract::manifest(&manifest).is_ok() {
        let options: Map<String, Value> = serde_json::from_str(&options).unwrap_or_default();
        accepted(&manifest);
        crate::deploy::fuzz::manifest(&manifest, options);
    }
    Ok(())
}

/// What is shown to people forges no line and moves no cursor.
fn accepted(manifest: &Manifest) {
    let shown = [
        &manifest.name,
        &manifest.version,
        &manifest.description,
        &manifest.endpoint,
    ];
    let methods = manifest.auth_methods.iter().flat_map(|method| {
        let headers = method.headers.iter().flat_map(|(name, form)| [name, form]);
        let credentials = method.credentials.iter();
        let credentials = credentials.flat_map(|c| [&c.id, &c.label, &c.description]);
        [&method.id, &method.label]
            .into_iter()
            .chain(headers)
            .chain(credentials)
    });
    let routes = manifest
        .routes
        .iter()
        .flat_map(|r| [&r.method, &r.path, &r.purpose]);
    let fields = manifest
        .fields
        .iter()
        .flat_map(|f| [&f.name, &f.format, &f.description]);
    let mut texts = shown.into_iter().chain(methods).chain(routes).chain(fields);
    assert!(
        texts.all(|text| !text.contains(char::is_control)),
        "{manifest:?}"
    );
}

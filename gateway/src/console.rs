//! The console's files: those embedded in the program, or those of a directory.

use std::borrow::Cow;
use std::path::{Component, Path};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::{Failure, Fallible};
use crate::serve::Gateway;

#[derive(rust_embed::RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Embedded;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the console; `index.html` for the addresses of its pages.
pub(crate) async fn file(State(gateway): State<Gateway>, request: Request) -> Fallible<Response> {
    let path = request.uri().path();
    if ["/v1", "/api"]
        .iter()
        .any(|prefix| path == *prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')))
    {
        return Err(Failure::not_found("the route does not exist"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "the route does not support the method"));
    }
    let path = path.trim_start_matches('/').to_owned();
    let directory = gateway.settings.console.clone();
    let found = tokio::task::spawn_blocking(move || look_up(directory.as_deref(), &path)).await.ok().flatten();
    let (name, content) = found.ok_or_else(|| Failure::not_found("the file does not exist"))?;
    let kind = mime_guess::from_path(&name).first_or_octet_stream();
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_str(kind.as_ref()).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// The file of a path and its name. What looks like a file and is none is not a page, nor is what leads upwards.
fn look_up(directory: Option<&Path>, path: &str) -> Option<(String, Cow<'static, [u8]>)> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    if !path.is_empty()
        && let Some(content) = read(directory, path)
    {
        return Some((path.to_owned(), content));
    }
    if path.starts_with("assets/") {
        return None;
    }
    read(directory, "index.html").map(|content| ("index.html".to_owned(), content))
}

fn read(directory: Option<&Path>, path: &str) -> Option<Cow<'static, [u8]>> {
    let Some(directory) = directory else {
        return Embedded::get(path).map(|file| file.data);
    };
    let file = directory.join(path).canonicalize().ok()?;
    if !file.starts_with(directory.canonicalize().ok()?) || !file.is_file() {
        return None;
    }
    std::fs::read(file).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_directory() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert!(read(Some(&directory), "main.rs").is_some());
        for path in ["../Cargo.toml", "/etc/passwd", "rest/../../Cargo.toml", "", ".", "rest"] {
            assert!(read(Some(&directory), path).is_none(), "{path}");
        }
    }
}

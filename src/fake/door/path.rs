//! Paths of the HTTP gateway: cleaned as Go cleans them, then turned into a service and an endpoint.
//!
//! Lives here: the mapping. Does not: namespaces and rules (`gateway`).

use percent_encoding::percent_decode_str;

/// Service and `Handler.Method`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The service's name.
    pub(super) service: String,
    /// `Handler.Method`; more dots if the path is odd.
    pub(super) endpoint: String,
}

/// The path with its escapes read.
pub(super) fn decoded(raw: &str) -> String {
    percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

/// Go's `path.Clean`, which keeps a slash at the end.
pub(super) fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    clean
}

/// What a clean path asks for.
pub(super) fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => named("", "", ""),
        [service] => named(service, service, "Call"),
        [service, method] => named(service, service, method),
        [version, service, method] if is_version(version) => {
            Target { service: format!("{version}.{service}"), endpoint: endpoint(service, method) }
        }
        [service, handler, method] => named(service, handler, method),
        [services @ .., handler, method] => {
            Target { service: services.join("."), endpoint: endpoint(handler, method) }
        }
    }
}

fn named(service: &str, handler: &str, method: &str) -> Target {
    Target {
        service: service.to_owned(),
        endpoint: if service.is_empty() { String::new() } else { endpoint(handler, method) },
    }
}

fn endpoint(handler: &str, method: &str) -> String {
    format!("{}.{}", go_name(handler), go_name(method))
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `set-payment-method` → `SetPaymentMethod`; letters after any other sign are raised too, as Go's `Title` does.
fn go_name(part: &str) -> String {
    let mut name = String::with_capacity(part.len());
    let mut up = true;
    for letter in part.chars() {
        match letter {
            '-' => up = true,
            letter if up => {
                name.extend(letter.to_uppercase());
                up = !letter.is_alphanumeric() && letter != '_';
            }
            letter => {
                up = !letter.is_alphanumeric() && letter != '_';
                name.push(letter);
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{cleaned, target};

    #[test]
    fn a_path_names_a_service_and_an_endpoint() {
        for (path, service, endpoint) in [
            ("/foo", "foo", "Foo.Call"),
            ("/foo/bar", "foo", "Foo.Bar"),
            ("/foo/bar/baz", "foo", "Bar.Baz"),
            ("/foo/bar/baz/cat", "foo.bar", "Baz.Cat"),
            ("/v1/foo/bar", "v1.foo", "Foo.Bar"),
            ("/v1/foo/bar/baz", "v1.foo", "Bar.Baz"),
            ("/signup/set-payment-method", "signup", "Signup.SetPaymentMethod"),
        ] {
            let found = target(path);
            assert_eq!((found.service.as_str(), found.endpoint.as_str()), (service, endpoint), "{path}");
        }
    }

    #[test]
    fn dots_and_doubled_slashes_are_cleaned_away() {
        assert_eq!(cleaned("/store/x/../Debug//./Health/"), "/store/Debug/Health/");
        assert_eq!(cleaned("/../store"), "/store");
    }
}

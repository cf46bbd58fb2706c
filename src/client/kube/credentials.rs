//! What muster itself shows to a cluster, so that a run can hide it.
//!
//! Lives here: the secrets of a configuration, and the files that hold further ones. Does not: reading those files, which
//! may change while a run goes on (`target`). What a plugin (`exec`) answers is not known: `kube` keeps it to itself.

use crate::secret::Secret;
use ::kube::Config;
use ::kube::config::AuthInfo;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

/// Keys of a user of a kubeconfig whose values are secrets.
const SECRET_KEYS: [&str; 3] = ["token", "password", "client-key-data"];
/// The same of `auth-provider`.
const SECRET_KEYS_OF_A_PROVIDER: [&str; 4] = ["access-token", "id-token", "refresh-token", "client-secret"];

/// What muster shows to a cluster.
#[derive(Default)]
pub struct Credentials {
    /// Secrets that stand in the configuration.
    pub secrets: Vec<Secret>,
    /// Files that hold a token or a key, and nothing else.
    pub files: Vec<PathBuf>,
}

impl Credentials {
    pub(super) fn of(config: &Config) -> Result<Self, serde_json::Error> {
        let mut credentials = Self::of_user(&config.auth_info)?;
        let addresses = [Some(&config.cluster_url), config.proxy_url.as_ref()];
        let passwords = addresses.into_iter().flatten().filter_map(password);
        credentials.secrets.extend(passwords.map(Secret::new));
        Ok(credentials)
    }

    fn of_user(user: &AuthInfo) -> Result<Self, serde_json::Error> {
        let files = [&user.token_file, &user.client_key].into_iter().flatten().map(PathBuf::from).collect();
        // The type behind `token` is of a crate that this one does not name; as JSON it is a text.
        let shown = serde_json::to_value(user)?;
        let provider = &shown["auth-provider"]["config"];
        let values = SECRET_KEYS.iter().map(|key| &shown[key]);
        let values = values.chain(SECRET_KEYS_OF_A_PROVIDER.iter().map(|key| &provider[key]));
        let secrets = values.filter_map(|value| value.as_str()).flat_map(forms).collect();
        Ok(Self { secrets, files })
    }
}

/// A secret as it stands there, and what a run may see of it besides: of base64 the text behind it, of PEM the key alone.
pub fn forms(text: &str) -> Vec<Secret> {
    let text = text.trim();
    let behind = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pem = behind.filter(|behind| behind.starts_with("-----BEGIN "));
    let mut forms = vec![text.to_owned()];
    forms.extend(pem.as_deref().map(|pem| pem.trim().to_owned()));
    forms.extend(key_of(pem.as_deref().unwrap_or(text)));
    forms.into_iter().map(Secret::new).collect()
}

/// The key in a PEM text, in one line: where it is shown its lines may be of another length.
fn key_of(pem: &str) -> Option<String> {
    let (_, rest) = pem.split_once("PRIVATE KEY-----")?;
    let (key, _) = rest.split_once("-----END ")?;
    Some(key.split_whitespace().collect())
}

/// The password in an address, as it is written there.
fn password(address: &http::Uri) -> Option<String> {
    let (user, _) = address.authority()?.as_str().rsplit_once('@')?;
    Some(user.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str =
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBnHr5a8\noAoGCCqGSM49AwEH\n-----END EC PRIVATE KEY-----\n";

    #[test]
    fn every_secret_of_a_user_is_known() {
        let user: AuthInfo = serde_json::from_value(serde_json::json!({
            "username": "bob", "password": "pass-of-bob", "token": "token-of-bob", "tokenFile": "/run/token",
            "client-key-data": STANDARD.encode(PEM), "client-key": "/run/key", "client-certificate-data": "shown",
            "auth-provider": { "name": "oidc", "config": { "id-token": "id-of-bob", "client-id": "muster" } },
        }))
        .unwrap();
        let known = Credentials::of_user(&user).unwrap();
        let texts: Vec<&str> = known.secrets.iter().map(Secret::reveal).collect();
        let (raw, key) = (STANDARD.encode(PEM), "MHcCAQEEIBnHr5a8oAoGCCqGSM49AwEH");
        assert_eq!(texts, ["token-of-bob", "pass-of-bob", &raw, PEM.trim(), key, "id-of-bob"]);
        assert_eq!(known.files, [PathBuf::from("/run/token"), PathBuf::from("/run/key")]);
    }

    #[test]
    fn a_key_in_a_file_and_a_password_in_an_address_are_known() {
        let texts = |text| forms(text).iter().map(|it| it.reveal().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(PEM), [PEM.trim(), "MHcCAQEEIBnHr5a8oAoGCCqGSM49AwEH"]);
        assert_eq!(texts("a.token\n"), ["a.token"]);
        let password = |address: &str| password(&address.parse().unwrap());
        assert_eq!(password("https://bob:of%20bob@proxy.test:80/").as_deref(), Some("of%20bob"));
        assert_eq!(password("https://proxy.test"), None);
    }
}

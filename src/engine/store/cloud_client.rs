//! Makes the clients of buckets: from a credential to something that speaks the provider's protocol, through the guard.
//!
//! Nothing is taken from the environment, not even a machine's own role: what is used stands in the configuration.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use url::Url;

use super::cloud::Bucket;
use super::cloud_keys::veil_page;
use super::credentials::Credential;
use super::guard::{Guard, Refused};
use crate::base::error::{Error, Kind, Result};

/// Who runs the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob.
    Az,
}

impl Provider {
    /// Of the scheme of an address.
    pub(super) fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::S3, Self::Gs, Self::Az].into_iter().find(|provider| provider.scheme() == scheme)
    }

    /// The scheme of its addresses and the kind of its credentials.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

/// The client of a bucket.
///
/// # Errors
/// Precondition for a credential that lacks something, naming it.
pub(super) fn bucket(
    provider: Provider,
    name: &str,
    credential: Option<&Credential>,
    guard: &Guard,
) -> Result<Arc<dyn Bucket>> {
    let connector = Guarded { provider, guard: guard.clone(), client: guard.client()? };
    let made = match provider {
        Provider::S3 => s3(name, credential, connector),
        Provider::Gs => gs(name, credential, connector),
        Provider::Az => az(name, credential, connector)?,
    };
    made.map_err(|cause| {
        let whose = credential
            .map_or("without credentials".to_owned(), |credential| format!("with [credentials.{}]", credential.name));
        let scheme = provider.scheme();
        Error::new(
            Kind::Precondition,
            format!("{scheme}://{name}/ can't be opened {whose}: something is missing there or malformed"),
        )
        .caused_by(cause)
    })
}

fn s3(name: &str, credential: Option<&Credential>, connector: Guarded) -> object_store::Result<Arc<dyn Bucket>> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_retry(retries())
        .with_client_options(options())
        .with_http_connector(connector)
        .with_region(credential.and_then(|held| held.setting("region")).unwrap_or("us-east-1"));
    if let Some(endpoint) = credential.and_then(|held| held.setting("endpoint")) {
        builder = builder.with_endpoint(endpoint);
    }
    match credential.and_then(|held| Some((held.secret("access_key_id")?, held.secret("secret_access_key")?))) {
        Some((id, key)) => builder = builder.with_access_key_id(id).with_secret_access_key(key),
        None => builder = builder.with_skip_signature(true),
    }
    if let Some(token) = credential.and_then(|held| held.secret("session_token")) {
        builder = builder.with_token(token);
    }
    Ok(Arc::new(builder.build()?))
}

fn gs(name: &str, credential: Option<&Credential>, connector: Guarded) -> object_store::Result<Arc<dyn Bucket>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(name)
        .with_retry(retries())
        .with_client_options(options())
        .with_http_connector(connector);
    if let Some(endpoint) = credential.and_then(|held| held.setting("endpoint")) {
        builder = builder.with_base_url(endpoint);
    }
    match credential.and_then(|held| held.secret("service_account")) {
        Some(account) => builder = builder.with_service_account_key(account),
        None => match credential.and_then(|held| held.secret("token")) {
            Some(token) => builder = builder.with_bearer_token(token),
            None => builder = builder.with_skip_signature(true),
        },
    }
    Ok(Arc::new(builder.build()?))
}

fn az(
    name: &str,
    credential: Option<&Credential>,
    connector: Guarded,
) -> Result<object_store::Result<Arc<dyn Bucket>>> {
    let Some(account) = credential.and_then(|held| held.setting("account")) else {
        let message =
            format!("az://{name}/ doesn't say whose it is: give a credential with its account and this prefix");
        return Err(Error::new(Kind::Precondition, message));
    };
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(name)
        .with_account(account)
        .with_retry(retries())
        .with_client_options(options())
        .with_http_connector(connector);
    if let Some(endpoint) = credential.and_then(|held| held.setting("endpoint")) {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    let secret = |key: &str| credential.and_then(|held| held.secret(key));
    builder = match (secret("account_key"), secret("sas"), secret("token")) {
        (Some(key), _, _) => builder.with_access_key(key),
        (_, Some(sas), _) => builder.with_config(AzureConfigKey::SasKey, sas),
        (_, _, Some(token)) => builder.with_bearer_token_authorization(token),
        _ => builder.with_skip_signature(true),
    };
    Ok(builder.build().map(|store| Arc::new(store) as Arc<dyn Bucket>))
}

/// Some five tries in half a minute: what is not back by then is for whoever asked.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(8),
            base: 2.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
    }
}

/// An endpoint in plain HTTP is the operator's choice.
fn options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

/// Gives clients that keep to the guard's rules, and answers that the library can hold.
#[derive(Debug, Clone)]
struct Guarded {
    provider: Provider,
    guard: Guard,
    client: reqwest::Client,
}

impl HttpConnector for Guarded {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        // A refusal is for good; the kind keeps it from being tried again.
        let for_good = |refused: &Refused| HttpError::new(HttpErrorKind::Decode, refused.clone());
        let url = request.uri().to_string();
        let url = Url::parse(&url).map_err(|cause| HttpError::new(HttpErrorKind::Decode, cause))?;
        self.guard.check(&url).map_err(|refused| for_good(&refused))?;
        let is_get = request.method() == reqwest::Method::GET;
        let answer = self.client.call(request).await.map_err(|error| match Refused::among(&error) {
            Some(refused) => for_good(refused),
            None => error,
        })?;
        if !(is_get && answer.status().is_success() && is_listing(&url)) {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let page = body.bytes().await?;
        Ok(HttpResponse::from_parts(head, veil_page(self.provider, &page).map_or_else(|| page.into(), Into::into)))
    }
}

/// Whether a request is for a page of a listing.
fn is_listing(url: &Url) -> bool {
    url.query_pairs().any(|(name, value)| matches!((&*name, &*value), ("list-type", "2") | ("comp", "list")))
}

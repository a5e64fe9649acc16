//! A model behind any endpoint that speaks OpenAI's chat protocol: OpenAI, Ollama, llama.cpp, vLLM.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_stream::StreamExt;

use super::llm::{Message, Model, OnText, Reply, cut};
use super::node::{NodeError, Usage};

/// Longest reply that is read, in bytes: a model that loops is stopped here.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// See the module. 429, 5xx and connections that fail are tried again three times, as long as `Retry-After` says.
pub struct OpenAi {
    client: Client<OpenAIConfig>,
    model: String,
    timeout: Duration,
    /// The endpoint refused `response_format`: the schema is only told.
    plain: AtomicBool,
}

impl OpenAi {
    /// The model `model` at `base_url`, such as `http://127.0.0.1:11434/v1`. `timeout` is that of one call with its retries.
    ///
    /// # Errors
    /// For an address or a key that can't be used; where no HTTP client can be made.
    pub fn new(base_url: &str, model: &str, api_key: &str, timeout: Duration) -> Result<Self, NodeError> {
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            return Err(NodeError::fatal(format!("endpoint {base_url:?} has to start with http:// or https://")));
        }
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NodeError::fatal("the endpoint's key has characters that an HTTP header can't carry"));
        }
        // Another part of the program may have installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|cause| NodeError::fatal(format!("no HTTP client: {cause}")))?;
        // Everything is set, so that nothing but proxies comes from the environment.
        let config = OpenAIConfig::new()
            .with_api_base(base_url.trim_end_matches('/'))
            .with_api_key(api_key)
            .with_org_id("")
            .with_project_id("");
        let client = Client::build(http, config);
        Ok(Self { client, model: model.to_owned(), timeout, plain: AtomicBool::new(false) })
    }

    fn request(&self, messages: &[Message], schema: Option<&Value>) -> Value {
        let messages: Vec<Value> =
            messages.iter().map(|message| json!({"role": message.role, "content": message.content})).collect();
        let mut request = json!({"model": self.model, "messages": messages, "stream": true});
        if !self.plain.load(Ordering::Relaxed) {
            request["stream_options"] = json!({"include_usage": true});
            if let Some(schema) = schema {
                request["response_format"] =
                    json!({"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}});
            }
        }
        request
    }

    async fn call(&self, request: &Value, on_text: OnText<'_>) -> Result<Reply, OpenAIError> {
        let mut stream = self.client.chat().create_stream_byot::<_, Value>(request).await?;
        let mut reply = Reply::default();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            if let Some(error) = piece.get("error").filter(|error| !error.is_null()) {
                return Err(OpenAIError::InvalidArgument(format!("the endpoint broke off: {error}")));
            }
            if let Some(text) = piece["choices"][0]["delta"]["content"].as_str() {
                reply.text.push_str(text);
                on_text(text);
            }
            reply.cut_off |= piece["choices"][0]["finish_reason"] == "length";
            if let Some(usage) = piece.get("usage").filter(|usage| usage.is_object()) {
                reply.usage.prompt_tokens = usage["prompt_tokens"].as_u64().unwrap_or_default();
                reply.usage.completion_tokens = usage["completion_tokens"].as_u64().unwrap_or_default();
            }
            if reply.text.len() > REPLY_BYTES_MAX {
                reply.cut_off = true;
                break;
            }
        }
        if reply.usage == Usage::default() {
            // An endpoint that does not count: four bytes are about a token.
            reply.usage.prompt_tokens = request["messages"].to_string().len() as u64 / 4;
            reply.usage.completion_tokens = reply.text.len() as u64 / 4;
        }
        Ok(reply)
    }
}

#[tonic::async_trait]
impl Model for OpenAi {
    async fn complete(
        &self,
        messages: &[Message],
        schema: Option<&Value>,
        on_text: OnText<'_>,
    ) -> Result<Reply, NodeError> {
        let called = async {
            let was_plain = self.plain.load(Ordering::Relaxed);
            match self.call(&self.request(messages, schema), on_text).await {
                Err(error) if !was_plain && refuses(&error) => {
                    self.plain.store(true, Ordering::Relaxed);
                    let plain = self.call(&self.request(messages, schema), on_text).await;
                    // It refused the request for another reason: the next one may use everything again.
                    if plain.is_err() {
                        self.plain.store(false, Ordering::Relaxed);
                    }
                    plain
                }
                other => other,
            }
        };
        match timeout(self.timeout, called).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(told(&self.model, error)),
            Err(_) => Err(NodeError::again(format!("{} did not answer in {} s", self.model, self.timeout.as_secs()))),
        }
    }
}

/// Whether the endpoint did not take the request as it was. One that does not speak of errors in JSON is given the doubt.
fn refuses(error: &OpenAIError) -> bool {
    match error {
        OpenAIError::ApiError(error) => matches!(error.status_code.as_u16(), 400 | 404 | 415 | 422 | 501),
        OpenAIError::JSONDeserialize(..) => true,
        _ => false,
    }
}

fn told(model: &str, error: OpenAIError) -> NodeError {
    match error {
        OpenAIError::ApiError(error) => {
            let status = error.status_code.as_u16();
            let retry = matches!(status, 408 | 409 | 429) || status >= 500;
            let quota = error.api_error.r#type.as_deref() == Some("insufficient_quota");
            let message = format!("{model}: {status} {}", cut(&error.api_error.message, 500));
            NodeError { message, retry: retry && !quota }
        }
        OpenAIError::JSONDeserialize(cause, text) => {
            NodeError::again(format!("{model} answered with no JSON ({cause}): {:?}", cut(&text, 200)))
        }
        OpenAIError::Reqwest(cause) => {
            let why = std::error::Error::source(&cause).map(|cause| format!(" ({cause})")).unwrap_or_default();
            NodeError::again(format!("{model}: {cause}{why}"))
        }
        other => NodeError::again(format!("{model}: {other}")),
    }
}

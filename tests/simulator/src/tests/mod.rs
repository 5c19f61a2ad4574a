//! The account over a real connection.

mod audience;
mod control;
mod faults;
mod imports;
mod users;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::{AttributeType, ClockMode, Config, Definition, Simulator};

/// A simulator and a client that has its key.
/// A client whose TLS has a provider: the workspace's reqwest comes without one.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

struct Account {
    sim: Simulator,
    client: Client,
}

impl Account {
    async fn new(config: Config) -> Self {
        let mut config = config;
        config.attributes = vec![
            Definition::new("resci", "credits_available", AttributeType::Number),
            Definition::new("resci", "vip", AttributeType::Boolean),
        ];
        Self {
            sim: Simulator::start(config).await.unwrap(),
            client: client(),
        }
    }

    async fn plain() -> Self {
        Self::new(Config::default()).await
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client
            .request(method, format!("{}{path}", self.sim.url()))
            .header("Authorization", "ApiKey demo-key")
    }

    async fn post(&self, user: Value) -> reqwest::Result<Response> {
        self.request("POST", "/users")
            .header("Content-Type", "application/json")
            .body(user.to_string())
            .send()
            .await
    }

    /// Status and body.
    async fn answer(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let response = self
            .request(method, path)
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }

    async fn submit(&self, form: Form) -> (StatusCode, Value) {
        let request = self.request("POST", "/import_jobs").multipart(form);
        let response = request.send().await.unwrap();
        (
            response.status(),
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }

    /// Submits the text as the users of an import and returns the job's id.
    async fn import(&self, text: impl Into<String>) -> String {
        let (status, body) = self.submit(form("users", text)).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn job(&self, id: &str) -> (u16, Value) {
        let path = format!("/import_jobs/{id}");
        self.answer("GET", &path, json!({})).await
    }
}

fn file(text: impl Into<String>) -> Part {
    Part::text(text.into())
        .file_name("users-1.csv")
        .mime_str("text/plain")
        .unwrap()
}

fn form(entity: &'static str, text: impl Into<String>) -> Form {
    Form::new()
        .text("import_type", "demo")
        .part(entity, file(text))
}

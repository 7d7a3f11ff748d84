//! Adds code samples in curl, Python and TypeScript to every operation (`x-codeSamples`). They send the operation's
//! first recorded example. `make story-samples` runs all of them.

use serde_json::{Map, Value, json};

use super::{
    literals::{Language, literal, shell_word},
    recorded::{Examples, Recorded},
    walk::each_operation,
};

/// Address of the hub in the samples.
const HUB: &str = "https://hub.nordlicht.example";

/// Adds the samples of every operation that has an example.
pub fn add(document: &mut Value, examples: &Examples) {
    each_operation(document, |path, method, operation| {
        if let Some(example) = examples.of(operation).into_iter().next() {
            let call = Call::new(path, method, &example);
            operation["x-codeSamples"] = json!([
                {"lang": "Shell", "label": "curl", "source": call.curl()},
                {"lang": "Python", "label": "Python", "source": call.python()},
                {"lang": "TypeScript", "label": "TypeScript", "source": call.typescript()},
            ]);
        }
    });
}

/// A request, as every language sends it.
struct Call<'a> {
    method: String,
    /// URL without the query.
    url: String,
    query: Vec<(&'a str, String)>,
    example: &'a Recorded,
}

impl<'a> Call<'a> {
    fn new(path: &str, method: &str, example: &'a Recorded) -> Self {
        let mut url = format!("{HUB}{path}");
        for (name, value) in &example.request.path {
            let value: String =
                url::form_urlencoded::byte_serialize(plain(value).as_bytes()).collect();
            // A plus sign stands for a space only in a query.
            url = url.replace(&format!("{{{name}}}"), &value.replace('+', "%20"));
        }
        let query = &example.request.query;
        Self {
            method: method.to_uppercase(),
            url,
            query: query
                .iter()
                .map(|(name, value)| (name.as_str(), plain(value)))
                .collect(),
            example,
        }
    }

    fn url_with_query(&self) -> String {
        if self.query.is_empty() {
            return self.url.clone();
        }
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.query)
            .finish();
        format!("{}?{query}", self.url)
    }

    /// Returns the body if it is JSON.
    fn json(&self) -> Option<&Value> {
        let request = &self.example.request;
        request.body.as_ref().filter(|_| request.file.is_none())
    }

    fn is_answered_with(&self, media_type: &str) -> bool {
        self.example.media_type == media_type
    }

    fn curl(&self) -> String {
        let request = &self.example.request;
        let mut lines = vec!["curl --fail-with-body".to_owned()];
        if self.is_answered_with("text/event-stream") {
            lines[0] += " --no-buffer";
        }
        if self.method != "GET" {
            lines[0] += &format!(" --request {}", self.method);
        }
        lines[0] += &format!(" {}", shell_word(&self.url_with_query()));
        if let Some(variable) = &request.auth {
            lines.push(format!("--header \"Authorization: Bearer ${variable}\""));
        }
        if let Some(media_type) = &request.media_type {
            lines.push(format!("--header 'Content-Type: {media_type}'"));
        }
        if let Some(json) = self.json() {
            let text = serde_json::to_string_pretty(json).unwrap_or_default();
            lines.push(format!("--data {}", shell_word(&text)));
        }
        if let Some(file) = &request.file {
            lines.push(format!("--data-binary @{file}"));
        }
        if let Some(file) = &request.save_as {
            lines.push(format!("--output {file}"));
        }
        lines.join(" \\\n  ") + "\n"
    }

    fn python(&self) -> String {
        let request = &self.example.request;
        let mut arguments = vec![literal(Language::Python, &json!(self.url), 1)];
        let mut headers = Vec::new();
        if let Some(variable) = &request.auth {
            headers.push(format!(
                "\"Authorization\": f\"Bearer {{os.environ['{variable}']}}\""
            ));
        }
        if let (Some(media_type), Some(_)) = (&request.media_type, &request.file) {
            headers.push(format!("\"Content-Type\": \"{media_type}\""));
        }
        if !headers.is_empty() {
            arguments.push(format!("headers={{{}}}", headers.join(", ")));
        }
        if !self.query.is_empty() {
            let query: Map<String, Value> = self
                .query
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                .collect();
            arguments.push(format!(
                "params={}",
                literal(Language::Python, &query.into(), 1)
            ));
        }
        if let Some(json) = self.json() {
            arguments.push(format!("json={}", literal(Language::Python, json, 1)));
        }
        if let Some(file) = &request.file {
            arguments.push(format!("data=open(\"{file}\", \"rb\")"));
        }
        let is_stream = self.is_answered_with("text/event-stream");
        if is_stream {
            arguments.push("stream=True".to_owned());
        }
        arguments.push("timeout=30".to_owned());
        let modules = if request.auth.is_some() {
            "import os\n\nimport requests"
        } else {
            "import requests"
        };
        let result = match &request.save_as {
            Some(file) => {
                format!("with open(\"{file}\", \"wb\") as file:\n    file.write(response.content)")
            }
            None if is_stream => {
                "for line in response.iter_lines(decode_unicode=True):\n    print(line)".to_owned()
            }
            None if self.is_answered_with("application/json") => {
                "print(response.json())".to_owned()
            }
            None => "print(response.text)".to_owned(),
        };
        format!(
            "{modules}\n\nresponse = requests.{}(\n    {},\n)\nresponse.raise_for_status()\n{result}\n",
            self.method.to_lowercase(),
            arguments.join(",\n    "),
        )
    }

    fn typescript(&self) -> String {
        let request = &self.example.request;
        let mut options = vec![format!("method: \"{}\"", self.method)];
        let mut headers = Vec::new();
        if let Some(variable) = &request.auth {
            headers.push(format!(
                "Authorization: `Bearer ${{process.env.{variable}}}`"
            ));
        }
        if let Some(media_type) = &request.media_type {
            headers.push(format!("\"Content-Type\": \"{media_type}\""));
        }
        if !headers.is_empty() {
            options.push(format!("headers: {{ {} }}", headers.join(", ")));
        }
        if let Some(json) = self.json() {
            let value = literal(Language::TypeScript, json, 1);
            options.push(format!("body: JSON.stringify({value})"));
        }
        let mut modules = String::new();
        if let Some(file) = &request.file {
            options.push(format!("body: await readFile(\"{file}\")"));
            modules = "import { readFile } from \"node:fs/promises\";\n\n".to_owned();
        }
        let result = match &request.save_as {
            Some(file) => {
                modules = "import { writeFile } from \"node:fs/promises\";\n\n".to_owned();
                format!("await writeFile(\"{file}\", new Uint8Array(await response.arrayBuffer()));")
            }
            None if self.is_answered_with("text/event-stream") => {
                "for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {\n  console.log(text);\n}"
                    .to_owned()
            }
            None if self.is_answered_with("application/json") => {
                "console.log(await response.json());".to_owned()
            }
            None => "console.log(await response.text());".to_owned(),
        };
        format!(
            "{modules}const response = await fetch({}, {{\n  {},\n}});\n\
             if (!response.ok) throw new Error(`${{response.status}}: ${{await response.text()}}`);\n{result}\n",
            literal(Language::TypeScript, &json!(self.url_with_query()), 0),
            options.join(",\n  "),
        )
    }
}

/// Returns the value of a parameter as text.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

//! `sluice plugin inspect`.

use sluice::capability::http::declared_headers;
use sluice::plugin::{Limits, LoadLimits, Plugin};

use super::args::InspectArgs;
use super::exit::Exit;
use super::{engine, logs};

pub async fn inspect(args: InspectArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let (limits, load) = (Limits::default(), LoadLimits::default());
    let plugin = match engine::alone(&args.trust, args.tracks.clone().unwrap_or_default())
        .load(&args.file, &limits, &load)
        .await
    {
        Ok(plugin) => plugin,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Plugin);
        }
    };
    if args.json {
        let mut manifest = serde_json::to_value(&*plugin.manifest)?;
        manifest["options-schema"] = serde_json::from_str(&plugin.manifest.options_schema)?;
        let all = serde_json::json!({ "component": *plugin.inspection, "manifest": manifest });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&plugin)?;
    }
    Ok(Exit::Fine)
}

fn print(plugin: &Plugin) -> anyhow::Result<()> {
    let (seen, manifest) = (&plugin.inspection, &plugin.manifest);
    println!(
        "{} {}: {}",
        manifest.name, manifest.version, manifest.description
    );
    println!("\nComponent");
    println!("  file      {}", seen.path.display());
    println!("  size      {} bytes", seen.bytes);
    println!("  sha256    {}", seen.sha256);
    println!(
        "  contract  sluice:sink@{} (track {})",
        seen.contract, seen.track
    );
    println!("  imports   {}", seen.imports.join("\n            "));
    println!("  exports   {}", seen.exports.join("\n            "));
    println!("\nEndpoint  {}", manifest.endpoint);
    for method in &manifest.auth_methods {
        println!("\nAuthorization `{}`: {}", method.id, method.label);
        for credential in &method.credentials {
            println!(
                "  {}  {}: {}",
                credential.id, credential.label, credential.description
            );
        }
        for (name, template) in &method.headers {
            println!("  sends  {name}: {template}");
        }
    }
    println!("\nRoutes");
    for route in &manifest.routes {
        println!(
            "  {:<28} {:<24} {}",
            route.method, route.path, route.purpose
        );
    }
    let headers: Vec<_> = declared_headers(manifest).collect();
    if !headers.is_empty() {
        println!("  sets headers of its own: {}", headers.join(", "));
    }
    println!("\nFields");
    for field in &manifest.fields {
        let format = if field.format.is_empty() {
            String::new()
        } else {
            format!(" ({})", field.format)
        };
        println!(
            "  {:<20} {}{format}: {}",
            field.name,
            kind(field.type_),
            field.description
        );
    }
    if let Some(custom) = &manifest.custom_fields {
        println!("  {custom}");
    }
    println!("\nOptions");
    let schema: serde_json::Value = serde_json::from_str(&manifest.options_schema)?;
    let required: Vec<_> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .collect();
    for (name, option) in schema["properties"].as_object().into_iter().flatten() {
        let default = match option.get("default") {
            Some(default) => format!("default {default}"),
            None if required.contains(&name.as_str()) => "required".to_owned(),
            None => "no default".to_owned(),
        };
        println!("  {name}  ({default})");
        // Each line stands further in, so that none looks like one of ours.
        let description = option["description"].as_str().unwrap_or_default();
        for line in description.split('\n') {
            println!("      {line}");
        }
    }
    let limits = &manifest.limits;
    println!(
        "\nLimits  staged file: {} bytes, {} rows; batch: {} rows staged, {} rows delivered",
        limits.file_bytes, limits.file_rows, limits.stage_rows, limits.deliver_rows
    );
    Ok(())
}

fn kind(kind: sluice::plugin::types::FieldType) -> &'static str {
    use sluice::plugin::types::FieldType as T;
    match kind {
        T::Text => "text",
        T::Integer => "integer",
        T::Decimal => "decimal",
        T::Boolean => "boolean",
        T::Date => "date",
        T::Timestamp => "timestamp",
        T::Json => "json",
    }
}

//! `sluice explain`: whether the gate would let a request through, and why.

use serde_json::{Value, json};
use sluice::capability::http::Leads;
use sluice::deploy::Explained;

use super::args::ExplainArgs;
use super::exit::Exit;
use super::{logs, select};

pub async fn explain(args: ExplainArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let deployed = match select::prepared(&args.place, &args.export).await {
        Ok(deployed) => deployed,
        Err(exit) => return Ok(exit),
    };
    let explained = deployed.explain(&args.method, &args.path).await;
    let denied = explained.denied();
    if args.json {
        let all = as_json(&args, &explained, denied.as_deref());
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&args, &explained, denied.as_deref());
    }
    Ok(if denied.is_some() {
        Exit::Denied
    } else {
        Exit::Fine
    })
}

fn print(args: &ExplainArgs, explained: &Explained, denied: Option<&str>) {
    let policy = &explained.policy;
    let row = |name: &str, text: &str| println!("  {name:<10} {text}");
    match denied {
        None => println!("allowed  {} {}", args.method, args.path),
        Some(reason) => println!(
            "denied   {} {}\n  {:<10} {reason}",
            args.method, args.path, "because"
        ),
    }
    match &policy.route {
        Some(route) if route.written == route.means => {
            row("route", &format!("{}: {}", route.means, route.purpose));
        }
        Some(route) => row(
            "route",
            &format!("{} ({}): {}", route.means, route.written, route.purpose),
        ),
        None => row("route", "none of the manifest"),
    }
    for (route, why) in &policy.others {
        println!("             {}: {why}", route.means);
    }
    match (&policy.narrowed, &policy.grant) {
        (None, _) => row(
            "operator",
            "grants what the manifest asks for; `routes` is not set",
        ),
        (Some(_), Some(grant)) => row("operator", &format!("grants it with `{grant}`")),
        (Some(routes), None) => row("operator", &format!("grants only {}", routes.join(", "))),
    }
    if let Ok(url) = &policy.decision {
        row("url", url.as_str());
        row(
            "scheme",
            if url.scheme() == "https" {
                "https"
            } else {
                "http, by `allow_http`"
            },
        );
    }
    match &explained.leads {
        Some(Leads::Through(proxy)) => {
            row(
                "address",
                &format!("for the proxy {proxy} to look up and to judge"),
            );
        }
        Some(Leads::To(found)) => {
            for (address, class) in found {
                match class {
                    Some(class) => row("address", &format!("{address}: refused, {class}")),
                    None => row("address", &format!("{address}: allowed")),
                }
            }
        }
        Some(Leads::Nowhere(_)) | None => {}
    }
    row("adds", &explained.adds.join(", "));
}

fn as_json(args: &ExplainArgs, explained: &Explained, denied: Option<&str>) -> Value {
    let policy = &explained.policy;
    let others = policy
        .others
        .iter()
        .map(|(route, why)| json!({"route": route, "why": why.to_string()}));
    let (proxy, addresses) = match &explained.leads {
        Some(Leads::Through(proxy)) => (Some(proxy.to_string()), vec![]),
        Some(Leads::To(found)) => (None, found.clone()),
        Some(Leads::Nowhere(_)) | None => (None, vec![]),
    };
    let addresses = addresses
        .iter()
        .map(|(address, class)| json!({"address": address, "refused": class}));
    json!({
        "method": args.method,
        "path": args.path,
        "allowed": denied.is_none(),
        "reason": denied,
        "url": policy.decision.as_ref().ok().map(ToString::to_string),
        "route": policy.route,
        "other_routes": others.collect::<Vec<_>>(),
        "operator_routes": policy.narrowed,
        "granted_by": policy.grant,
        "proxy": proxy,
        "addresses": addresses.collect::<Vec<_>>(),
        "adds": explained.adds,
    })
}

//! The admin endpoint, as the command line asks for it.

use std::net::SocketAddr;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use sluice::admin::{Admin, AdminError, DEFAULT, Place, Token};

use super::args::{AdminArgs, Args};

/// The variable that holds the token itself.
const TOKEN: &str = "SLUICE_ADMIN_TOKEN";

/// Listens where it was asked to. `None` if it was asked not to, or if nobody asked and the usual place is
/// taken: that must not keep exports from running.
pub async fn listen(args: &AdminArgs) -> anyhow::Result<Option<Admin>> {
    let address = match args.admin {
        Some(Place::Off) => return Ok(None),
        Some(Place::At(address)) => address,
        None => DEFAULT,
    };
    let admin = match Admin::listen(address, token(args)?).await {
        Ok(admin) => admin,
        Err(error @ AdminError::Open { .. }) => {
            let mut command = Args::command();
            command.error(ErrorKind::ValueValidation, error).exit()
        }
        Err(error) if args.admin.is_none() => {
            tracing::warn!(%error, "no metrics and no health");
            return Ok(None);
        }
        Err(AdminError::Listen { address, source }) => {
            // The error tells its cause itself; as a chain it would be told twice.
            bail!("{}", AdminError::Listen { address, source })
        }
    };
    let address: SocketAddr = admin.address();
    tracing::info!(%address, "admin endpoint: /metrics, /healthz, /readyz");
    Ok(Some(admin))
}

fn token(args: &AdminArgs) -> anyhow::Result<Option<Token>> {
    match (&args.admin_token_file, std::env::var(TOKEN)) {
        (Some(_), Ok(_)) => bail!("there is an --admin-token-file, and {TOKEN} is set: drop one"),
        (Some(path), Err(_)) => Ok(Some(Token::read(path)?)),
        (None, Ok(text)) => Ok(Some(Token::new(&text)?)),
        (None, Err(std::env::VarError::NotPresent)) => Ok(None),
        (None, Err(error)) => bail!("{TOKEN}: {error}"),
    }
}

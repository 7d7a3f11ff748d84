//! `thingshub users`: lists, creates and recovers users, such as after the last administrator's password was lost.
//!
//! It works directly on the database and not through a hub; hubs may run meanwhile.

use clap::{Arg, ArgMatches, Command};

use super::{exit::Failure, login::new_secret, output};
use crate::{
    app::{Account, Accounts, NewAccount},
    config::Config,
};

/// Roles of users.
const ROLES: [&str; 3] = ["admin", "editor", "viewer"];
/// Period in which failed logins count, which is not stored: nothing in the database could end it early.
const THROTTLED: &str = "Too many wrong passwords do not lock a user: each hub only remembers them for 15 minutes, \
     for the address that sent them, and forgets them at a restart";

/// The command and those below it; `with_settings` adds the flags of the settings.
pub fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    let username = Arg::new("username")
        .value_name("USERNAME")
        .required(true)
        .help("Username of the user");
    let role = Arg::new("role")
        .long("role")
        .value_name("ROLE")
        .value_parser(ROLES)
        .required(true)
        .help("Role of the user");
    let tenant = Arg::new("tenant")
        .long("tenant")
        .value_name("NAME")
        .help("Name of the tenant [default: the first tenant, which is the operator's]");
    Command::new("users")
        .about("List, create and recover users, directly in the database")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("list").about("List the users of all tenants"),
        ))
        .subcommand(with_settings(
            Command::new("create")
                .about("Create a user with a password that is read from the terminal or standard input")
                .arg(username.clone())
                .arg(role)
                .arg(tenant),
        ))
        .subcommand(with_settings(
            Command::new("reset-password")
                .about(
                    "Set a new password, read from the terminal or standard input, and unlock the user; \
                     an operator also gets the role admin again",
                )
                .arg(username.clone()),
        ))
        .subcommand(with_settings(
            Command::new("unlock")
                .about("Unlock a user whom an administrator has locked")
                .after_help(THROTTLED)
                .arg(username),
        ))
}

/// Runs a subcommand.
pub async fn run(name: &str, matches: &ArgMatches, config: &Config) -> Result<(), Failure> {
    if name == "list" {
        let accounts = with_accounts(config, async |accounts| accounts.list().await);
        return list(&accounts.await?);
    }
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let username = text("username").unwrap_or_default();
    match name {
        "create" => {
            let password = new_secret("Password: ")?;
            let new = NewAccount {
                username,
                role: matches.get_one::<String>("role").map_or("", String::as_str),
                tenant: matches.get_one::<String>("tenant").map(String::as_str),
            };
            let made = with_accounts(config, async |accounts| {
                accounts.create(new, &password).await
            });
            let user = made.await?;
            output::line(&format!(
                "{} is a new user with the role {}",
                user.username, user.profile.role
            ))
        }
        "unlock" => {
            let unlocked =
                with_accounts(config, async |accounts| accounts.unlock(username).await).await?;
            output::line(&match unlocked {
                Some(user) => format!("{} is unlocked", user.username),
                None => format!("{username} is not locked. {THROTTLED}"),
            })
        }
        _ => {
            let password = new_secret("New password: ")?;
            let reset = with_accounts(config, async |accounts| {
                accounts.reset_password(username, &password).await
            });
            let user = reset.await?;
            output::line(&format!(
                "{} has the new password; all sessions of the user have ended",
                user.username
            ))
        }
    }
}

/// Opens the database for some work.
async fn with_accounts<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Accounts) -> crate::error::Result<T>,
) -> Result<T, Failure> {
    let accounts = Accounts::open(config).await?;
    let worked = work(&accounts).await;
    let closed = accounts.close().await;
    let value = worked?;
    closed?;
    Ok(value)
}

/// Prints the users as a table.
fn list(accounts: &[Account]) -> Result<(), Failure> {
    let rows: Vec<[String; 5]> = accounts.iter().map(row).collect();
    let head = ["USERNAME", "TENANT", "ROLE", "STATE", "LAST LOGIN"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        output::line(cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(account: &Account) -> [String; 5] {
    let Account { user, tenant } = account;
    let role = match user.is_operator {
        true => format!("{}, operator", user.profile.role),
        false => user.profile.role.clone(),
    };
    let state = match user.profile.locked {
        true => "locked",
        false => "active",
    };
    let last_login = user.last_login_at.map_or("never".to_owned(), |at| {
        at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    });
    [
        user.username.clone(),
        tenant.clone(),
        role,
        state.to_owned(),
        last_login,
    ]
}

//! `hivemem rebuild`.

use hivemem_client::ClientError;
use hivemem_client::proto::RebuildProgress;
use serde_json::json;

use super::args::{Global, Projection, RebuildArgs};
use super::failure::Failure;
use super::output;
use super::session::Session;

/// Builds indexes anew, one after the other.
pub(super) async fn run(args: RebuildArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let wanted = args
        .projection
        .map_or_else(|| vec![Projection::Lexical, Projection::Vector, Projection::Graph], |one| vec![one]);
    let mut names = Vec::new();
    let outcome = async {
        for projection in wanted {
            let name = projection.wire();
            let bar = super::progress::log_bar(name);
            let shown = |progress: &RebuildProgress| {
                bar.set_length(progress.lsn);
                bar.set_position(progress.applied_lsn);
            };
            session.client.rebuild(name, shown).await?;
            bar.finish_and_clear();
            names.push(name);
        }
        Ok(())
    };
    let outcome: Result<(), ClientError> = outcome.await;
    let outcome = outcome.map_err(Failure::from);
    session.close(outcome).await?;
    if global.json {
        return output::print_json(&json!({"rebuilt": names}));
    }
    output::print(&format!("rebuilt {}", names.join(", ")))
}

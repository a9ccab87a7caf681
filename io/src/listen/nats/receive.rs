//! A plain subscription: what is published while we listen, at most once.
//!
//! Before it: the client, whose own queue of a subscription is emptied at once, so that it holds no more than what the
//! socket gave in one turn. After it: [`Dispatch`], whose budget counts bytes.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use futures_lite::StreamExt;
use tokio::time::timeout;

use super::dispatch::{Dispatch, NoRoom};
use super::link::Link;
use super::{DRAIN_TIMEOUT, Stopped, stop_asked};

/// Receives until the bridge stops; ends before only if the client has.
pub(super) async fn run(
    client: Client,
    subject: String,
    cluster: Arc<str>,
    dispatch: Dispatch,
    link: Arc<Link>,
    mut stopped: Stopped,
) {
    let mut messages = match client.subscribe(subject.clone()).await {
        Ok(messages) => messages,
        Err(error) => return tracing::error!("NATS: cannot subscribe to {subject}: {error}"),
    };
    tracing::info!("NATS: subscribed to {subject}");
    tokio::select! {
        () = hand_over(&mut messages, &cluster, &dispatch, &link) => return,
        () = stop_asked(&mut stopped) => {}
    }
    // The broker may have sent some that are not read yet. Without a broker there is nothing to wait for.
    let drain = async {
        if messages.drain().await.is_ok() {
            hand_over(&mut messages, &cluster, &dispatch, &link).await;
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, drain).await;
}

async fn hand_over(messages: &mut Subscriber, cluster: &Arc<str>, dispatch: &Dispatch, link: &Link) {
    while let Some(message) = messages.next().await {
        match dispatch.hand_over(message, cluster) {
            Ok(()) => link.hand(),
            Err(NoRoom::Now) => link.lose(1),
            Err(NoRoom::Ever) => return,
        }
    }
}

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::{Producer, numbered};

const PERIOD: Duration = Duration::from_millis(5);

/// Sends numbered records, one each period, until it is ended.
pub struct NumberStream {
    stop: oneshot::Sender<()>,
    fates: JoinHandle<JoinSet<bool>>,
}

impl NumberStream {
    pub fn start(producer: impl Producer, label: String) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let fates = tokio::spawn(async move {
            let mut fates = JoinSet::new();
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0.. {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = &mut stopped => break,
                }
                let (key, value) = numbered(&label, number);
                fates.spawn(producer.send(key, value));
            }
            fates
        });
        Self { stop, fates }
    }

    /// Waits for all records and tells how many were acknowledged and how many failed.
    pub async fn end(self) -> (usize, usize) {
        let _ = self.stop.send(());
        let fates = self.fates.await.expect("a stream").join_all().await;
        let acknowledged = fates.iter().filter(|is_acknowledged| **is_acknowledged).count();
        (acknowledged, fates.len() - acknowledged)
    }
}

//! The cloud dialect during an outage of its database: it answers 503, and does not report keys as inactive.

use crate::cloud_app::{Cloud, Key, ROOT, refused, result};
use crate::ecg_outage::DatabaseProxy;
use crate::support::Database;
use futures::future::join_all;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_says_nothing_about_a_key() {
    let mut database = Database::postgres().await;
    let mut line = DatabaseProxy::before(&mut database).await;
    let cloud = Cloud::open(&database).await;
    let stranger = Key { secret: "x".into(), ..cloud.admin.clone() };
    line.cut().await;
    let paths = [ROOT.to_owned(), cloud.path(""), cloud.path("/activities"), cloud.path("/keys")];
    let calls = paths.iter().flat_map(|path| [&cloud.admin, &stranger].map(|key| cloud.call(key, "GET", path).send()));
    // Concurrently, since each request waits for a connection for a while.
    for answer in join_all(calls).await {
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(refused(answer, 503), "SERVICE_UNAVAILABLE: Service temporarily unavailable, try again");
    }
    line.mend().await;
    let back = async {
        while cloud.call(&cloud.admin, "GET", ROOT).send().await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    result(cloud.call(&cloud.admin, "GET", &cloud.path("/activities")).send().await);
}

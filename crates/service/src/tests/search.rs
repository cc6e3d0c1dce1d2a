//! Goal: operators see how search stands, and can make it ready. Method: the calls of a client, with
//! the engine's own account of what is in memory.

use lodgepole_api::wire::aliases::CreateNamespaceAliasRequest;
use lodgepole_api::wire::search::{SearchStateResponse, WarmUpRequest, WarmUpResponse};
use lodgepole_api::{ApiError, ApiVersion};
use lodgepole_engine::EngineOptions;

use super::{Bench, at, ctx, status, upserted_range};

impl Bench {
    pub(super) fn search_state(&self, name: &str) -> SearchStateResponse {
        self.service.search_state(&ctx(), &self.index(name))
    }

    pub(super) async fn warm_up(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> Result<WarmUpResponse, ApiError> {
        let request = WarmUpRequest { namespace: namespace.map(str::to_owned) };
        let reply = self.service.warm_up(&ctx(), &self.index(name), request).await?;
        assert!(!reply.wrote);
        Ok(reply.message)
    }

    async fn fill_namespace(&self, name: &str, namespace: &str, numbers: std::ops::Range<u16>) {
        let mut request = upserted_range(numbers);
        namespace.clone_into(&mut request.namespace);
        self.service.upsert(&ctx(), &self.index(name), request).await.unwrap();
    }
}

fn warmed(namespaces: u64, too_large: u64) -> WarmUpResponse {
    WarmUpResponse { namespaces, too_large }
}

#[tokio::test]
async fn warming_up_loads_one_namespace_or_all() {
    let bench = Bench::new().await;
    bench.create("a").await;
    assert_eq!(bench.warm_up("a", None).await.unwrap(), warmed(0, 0));
    bench.fill_namespace("a", "", 0..3).await;
    bench.fill_namespace("a", "n", 0..5).await;
    let bench = bench.restarted().await;
    assert_eq!(bench.search_state("a"), SearchStateResponse::default(), "asking loads nothing");
    assert_eq!(bench.warm_up("a", Some("none")).await.unwrap(), warmed(0, 0));
    assert_eq!(bench.search_state("a").namespaces, 0);
    assert_eq!(bench.warm_up("a", Some("__default__")).await.unwrap(), warmed(1, 0));
    assert_eq!(bench.search_state("a").tail_rows, 3);
    assert_eq!(bench.warm_up("a", None).await.unwrap(), warmed(2, 0));
    let state = bench.search_state("a");
    assert_eq!((state.namespaces, state.tail_rows), (2, 8));
    assert!(state.tail_bytes > 0 && state.segments == 0);
    assert_eq!(status(bench.warm_up("a", Some(&"n".repeat(10_000))).await), 400);
}

#[tokio::test]
async fn an_alias_warms_its_namespace() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    bench.fill_namespace("a", "n", 0..5).await;
    let alias =
        CreateNamespaceAliasRequest { name: "live".to_owned(), target_namespace: "n".to_owned() };
    let newest = at(ApiVersion::V2026_07);
    bench.service.create_namespace_alias(&newest, &index, alias).await.unwrap();
    let bench = bench.restarted().await;
    assert_eq!(bench.warm_up("a", Some("live")).await.unwrap(), warmed(1, 0));
    assert_eq!(bench.search_state("a").tail_rows, 5);
}

#[tokio::test]
async fn a_namespace_without_room_is_counted_as_too_large() {
    let options = EngineOptions { tail_bytes_max: 100, ..EngineOptions::default() };
    let bench = Bench::with(options).await;
    bench.create("a").await;
    bench.fill("a", 0..50).await;
    assert_eq!(bench.warm_up("a", None).await.unwrap(), warmed(1, 1));
    assert_eq!(bench.search_state("a").namespaces, 0);
}

#[tokio::test]
async fn what_waits_and_what_was_built_is_seen() {
    let bench = Bench::indexing().await;
    bench.create("a").await;
    bench.create("b").await;
    bench.fill("a", 0..60).await;
    bench.nearest("a").await;
    let state = bench.search_state("a");
    assert_eq!((state.waiting_namespaces, state.tail_rows, state.segments), (1, 60, 0));
    assert!(state.queue_age_seconds.is_some());
    bench.engine.index_now().await;
    bench.fill("a", 0..10).await;
    bench.nearest("a").await;
    let state = bench.search_state("a");
    assert_eq!((state.segments, state.segment_rows, state.dead_rows), (1, 60, 10));
    assert_eq!((state.tail_rows, state.waiting_namespaces), (10, 0));
    assert!(state.segment_bytes >= state.resident_bytes && state.resident_bytes > 0);
    assert_eq!(state.queue_age_seconds, None);
    let named = bench.service.search_states(&ctx()).await.unwrap();
    let names: Vec<_> = named.iter().map(|(index, _)| index.config.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((&named[0].1, &named[1].1), (&state, &SearchStateResponse::default()));
}

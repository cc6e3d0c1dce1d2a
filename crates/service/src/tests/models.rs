//! Goal: an index for a model is made and described without the model, and only operations on text
//! are refused. Method: the calls of a client.

use lodgepole_api::wire::models::ModelFilter;
use lodgepole_api::{ApiError, ApiVersion};
use serde_json::{Value, json};

use super::{Bench, at, ctx, to_json};

async fn create(bench: &Bench, body: &Value) -> Result<Value, ApiError> {
    let body = body.to_string();
    let made = bench.service.create_index_for_model(&ctx(), body.as_bytes()).await;
    made.map(|reply| to_json(&reply))
}

fn body(model: &str) -> Value {
    json!({"name": "a", "cloud": "aws", "region": "us-east-1",
        "embed": {"model": model, "field_map": {"text": "chunk-text"}}})
}

#[tokio::test]
async fn an_index_for_a_model_is_ready_and_described_in_both_dialects() {
    let bench = Bench::new().await;
    let mut with_schema = body("multilingual-e5-large");
    with_schema["schema"] = json!({"fields": {"genre": {"filterable": true}}});
    let reply = create(&bench, &with_schema).await.unwrap();
    assert_eq!((&reply["dimension"], &reply["metric"]), (&json!(1024), &json!("cosine")));
    assert_eq!(reply["spec"]["serverless"]["schema"], with_schema["schema"]);
    assert_eq!(reply["embed"]["field_map"], json!({"text": "chunk-text"}));
    assert_eq!((&reply["vector_type"], &reply["status"]["ready"]), (&json!("dense"), &json!(true)));
    let newest = bench.service.describe_index(&at(ApiVersion::V2026_07), "a").unwrap();
    let newest = to_json(&newest);
    let field = &newest["schema"]["fields"]["chunk-text"];
    assert_eq!((&field["type"], &field["dimension"]), (&json!("semantic_text"), &json!(1024)));
    assert_eq!(status_of(create(&bench, &body("multilingual-e5-large")).await), 409);
    let bench = bench.restarted().await;
    let index = bench.index("a");
    for refused in [
        bench.service.upsert_records(&ctx(), &index).unwrap_err(),
        bench.service.search_records(&ctx(), &index).unwrap_err(),
    ] {
        assert_eq!(refused.kind().http_status(), 400);
        assert!(refused.message().contains("'multilingual-e5-large'"), "{refused}");
    }
}

fn status_of<T>(result: Result<T, ApiError>) -> u16 {
    result.err().map_or(200, |error| error.kind().http_status())
}

#[tokio::test]
async fn each_model_decides_the_vectors_of_its_index() {
    for (model, status) in [
        ("llama-text-embed-v2", 200),
        ("pinecone-sparse-english-v0", 200),
        ("bge-reranker-v2-m3", 400),
        ("no-such-model", 404),
    ] {
        let bench = Bench::new().await;
        assert_eq!(status_of(create(&bench, &body(model)).await), status, "{model}");
        assert_eq!(bench.catalog.indexes().len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn a_plain_index_takes_no_text_until_it_gets_a_model() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    let refused = bench.service.upsert_records(&ctx(), &index).unwrap_err();
    assert!(refused.message().contains("not created for a model"), "{refused}");
    let mut plain = super::index_body("b");
    plain["dimension"] = json!(1024);
    bench.service.create_index(&ctx(), plain.to_string().as_bytes()).await.unwrap();
    let embed = json!({"embed": {"model": "llama-text-embed-v2", "field_map": {"text": "t"}}});
    let embed = embed.to_string();
    assert_eq!(status_of(bench.service.configure_index(&ctx(), "a", embed.as_bytes()).await), 400);
    for _ in 0..2 {
        bench.service.configure_index(&ctx(), "b", embed.as_bytes()).await.unwrap();
    }
    assert_eq!(bench.index("b").config.embed.as_ref().unwrap().model, "llama-text-embed-v2");
}

#[tokio::test]
async fn models_are_listed_by_kind_and_described() {
    let bench = Bench::new().await;
    let names = |query: &str| {
        let filter = ModelFilter::from_query(Some(query)).unwrap();
        let list = to_json(&bench.service.list_models(&ctx(), &filter));
        let list = list["models"].as_array().unwrap().clone();
        list.iter().map(|model| model["model"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names("").len() >= 5);
    assert_eq!(names("type=rerank"), ["bge-reranker-v2-m3", "pinecone-rerank-v0"]);
    assert_eq!(names("vector_type=sparse&type=embed"), ["pinecone-sparse-english-v0"]);
    assert!(names("type=rerank&vector_type=dense").is_empty());
    assert!(ModelFilter::from_query(Some("type=x")).is_err());
    let model = bench.service.describe_model(&ctx(), "multilingual-e5-large").unwrap();
    let model = to_json(&model);
    assert_eq!(model["supported_metrics"], json!(["cosine", "euclidean"]));
    assert_eq!(model["supported_dimensions"], json!([1024]));
    let truncate = json!({"parameter": "truncate", "type": "one_of", "value_type": "string",
        "required": false, "allowed_values": ["END", "NONE"], "default": "END"});
    assert_eq!(model["supported_parameters"][1], truncate);
    let reranker = bench.service.describe_model(&ctx(), "pinecone-rerank-v0").unwrap();
    let reranker = to_json(&reranker);
    for absent in ["vector_type", "default_dimension", "supported_metrics", "supported_dimensions"]
    {
        assert_eq!(reranker.get(absent), None);
    }
    assert_eq!(status_of(bench.service.describe_model(&ctx(), "x")), 404);
}

#[tokio::test]
async fn calls_of_models_name_what_is_not_installed() {
    let bench = Bench::new().await;
    let call = |model: &str| json!({"model": model, "inputs": [], "query": "q", "documents": []});
    let embed =
        |model: &str| bench.service.embed(&ctx(), call(model).to_string().as_bytes()).unwrap_err();
    let rerank =
        |model: &str| bench.service.rerank(&ctx(), call(model).to_string().as_bytes()).unwrap_err();
    for (error, status, part) in [
        (embed("llama-text-embed-v2"), 400, "'llama-text-embed-v2' is not installed"),
        (embed("pinecone-rerank-v0"), 400, "does not make vectors"),
        (embed("x"), 404, "Model x not found."),
        (rerank("bge-reranker-v2-m3"), 400, "'bge-reranker-v2-m3' is not installed"),
        (rerank("llama-text-embed-v2"), 400, "no reranker"),
        (bench.service.embed(&ctx(), b"{}").unwrap_err(), 422, "missing field `model`"),
    ] {
        assert_eq!(error.kind().http_status(), status, "{error}");
        assert!(error.message().contains(part), "{error}");
    }
}

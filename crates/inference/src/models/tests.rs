//! Goal: the rows are consistent, and hold what clients look for. Method: the rules of each field
//! over all rows; the documented values of the two models that clients compare exactly.

use std::collections::BTreeSet;

use lodgepole_types::Limits;

use super::*;

#[test]
fn names_are_unique_and_each_finds_its_row() {
    let names: BTreeSet<_> = models().iter().map(|model| model.name).collect();
    assert_eq!(names.len(), models().len());
    for row in models() {
        assert_eq!(model(row.name), Some(row));
    }
    assert_eq!(model("no-such-model"), None);
    assert_eq!(model(""), None);
}

#[test]
fn the_models_that_clients_ask_for_are_there() {
    let of = |name: &str| {
        let model = model(name).unwrap();
        (model.type_name(), model.vector_type().map(VectorType::as_str))
    };
    assert_eq!(of("multilingual-e5-large"), ("embed", Some("dense")));
    assert_eq!(of("llama-text-embed-v2"), ("embed", Some("dense")));
    assert_eq!(of("pinecone-sparse-english-v0"), ("embed", Some("sparse")));
    assert_eq!(of("bge-reranker-v2-m3"), ("rerank", None));
    assert_eq!(of("pinecone-rerank-v0"), ("rerank", None));
}

#[test]
fn the_default_dimension_is_supported_and_all_fit_an_index() {
    let limit = Limits::default().dimension_max;
    for model in models() {
        let Some(dimensions) = model.dimensions() else { continue };
        assert!(dimensions.supported.contains(&dimensions.default), "{}", model.name);
        assert!(dimensions.supported.is_sorted_by(|a, b| a < b), "{}", model.name);
        assert!(dimensions.supported.iter().all(|d| (1..=limit).contains(d)), "{}", model.name);
    }
}

#[test]
fn a_dimension_can_be_chosen_where_there_is_a_choice_and_only_there() {
    for model in models() {
        let choice = model.parameter("dimension");
        let lengths = model.dimensions().map_or(0, |dimensions| dimensions.supported.len());
        assert_eq!(choice.is_some(), lengths > 1, "{}", model.name);
        let (Some(choice), Some(dimensions)) = (choice, model.dimensions()) else { continue };
        let values: Vec<_> =
            dimensions.supported.iter().map(|d| ParameterValue::Integer(*d)).collect();
        assert_eq!(choice.rule, ParameterRule::OneOf(values.leak()), "{}", model.name);
        assert_eq!(choice.default, Some(ParameterValue::Integer(dimensions.default)));
    }
}

#[test]
fn embedding_models_have_metrics_and_an_input_type_and_rerankers_neither() {
    for model in models() {
        let embeds = model.vector_type().is_some();
        assert_eq!(!model.metrics().is_empty(), embeds, "{}", model.name);
        assert_eq!(model.parameter("input_type").is_some(), embeds, "{}", model.name);
        let metrics: BTreeSet<_> = model.metrics().iter().map(|metric| metric.as_str()).collect();
        assert_eq!(metrics.len(), model.metrics().len(), "{}", model.name);
    }
}

#[test]
fn parameters_are_unique_and_allow_their_defaults() {
    for model in models() {
        let names: BTreeSet<_> = model.parameters.iter().map(|p| p.name).collect();
        assert_eq!(names.len(), model.parameters.len(), "{}", model.name);
        for parameter in model.parameters {
            assert_eq!(parameter.default.is_none(), parameter.required, "{}", parameter.name);
            assert!(parameter.default.is_none_or(|value| parameter.rule.allows(value)));
            if let ParameterRule::OneOf(values) = parameter.rule {
                let kind = parameter.rule.value_type();
                assert!(!values.is_empty() && values.iter().all(|v| v.type_name() == kind));
            }
        }
    }
}

#[test]
fn a_rule_allows_its_values_only() {
    let truncate = model("bge-reranker-v2-m3").unwrap().parameter("truncate").unwrap();
    assert!(truncate.rule.allows(ParameterValue::Text("NONE")));
    assert!(!truncate.rule.allows(ParameterValue::Text("START")));
    assert!(!truncate.rule.allows(ParameterValue::Boolean(true)));
    let tokens = model("pinecone-sparse-english-v0").unwrap().parameter("return_tokens").unwrap();
    assert!(tokens.rule.allows(ParameterValue::Boolean(true)));
    assert!(!tokens.rule.allows(ParameterValue::Text("true")));
    assert_eq!((tokens.rule.as_str(), tokens.rule.value_type()), ("any", "boolean"));
}

#[test]
fn limits_and_texts_are_filled() {
    for model in models() {
        assert!(model.sequence_tokens_max > 0 && model.batch_inputs_max > 0, "{}", model.name);
        assert!(!model.short_description.is_empty() && !model.provider.is_empty());
        assert!(!model.short_description.contains("  "), "{}", model.name);
        assert_eq!(model.modality, "text");
    }
}

#[test]
fn the_row_of_multilingual_e5_large_is_the_documented_one() {
    let model = model("multilingual-e5-large").unwrap();
    assert_eq!(model.metrics(), [Metric::Cosine, Metric::Euclidean]);
    assert_eq!(model.dimensions(), Some(Dimensions { default: 1024, supported: &[1024] }));
    assert_eq!((model.sequence_tokens_max, model.batch_inputs_max), (507, 96));
    assert_eq!(model.provider, "Microsoft");
    let names: Vec<_> = model.parameters.iter().map(|p| (p.name, p.required)).collect();
    assert_eq!(names, [("input_type", true), ("truncate", false)]);
}

#[test]
fn the_row_of_pinecone_rerank_v0_is_the_documented_one() {
    let model = model("pinecone-rerank-v0").unwrap();
    assert!(model.metrics().is_empty() && model.dimensions().is_none());
    assert_eq!((model.sequence_tokens_max, model.batch_inputs_max), (512, 100));
    assert_eq!(model.provider, "Pinecone");
    assert_eq!(model.parameters, [TRUNCATE]);
}

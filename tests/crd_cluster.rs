//! The CRD on real API servers, the oldest supported and the newest: what they accept, refuse, default, prune and print.
//!
//! Run with `cargo test --features cluster-tests --test crd_cluster -- --test-threads=1`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "crd_cluster/bad_inputs.rs"]
mod bad_inputs;
#[path = "crd_cluster/bed.rs"]
mod bed;
#[path = "crd_cluster/decoding.rs"]
mod decoding;
#[path = "crd_cluster/generate.rs"]
mod generate;
#[path = "crd_cluster/kubectl.rs"]
mod kubectl;
#[path = "crd_cluster/manifests.rs"]
mod manifests;
#[path = "crd_cluster/rules.rs"]
mod rules;
#[path = "crd_cluster/spec.rs"]
mod spec;
#[path = "crd_cluster/status.rs"]
mod status;
mod support;

/// Each function once on each server version, on one control plane per version.
macro_rules! on_both_servers {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod the_oldest_server {
            $(#[tokio::test] async fn $name() { crate::$module::$name(&crate::bed::Bed::on(crate::support::Version::V1_33).await).await; })*
        }
        mod the_newest_server {
            $(#[tokio::test] async fn $name() { crate::$module::$name(&crate::bed::Bed::on(crate::support::Version::V1_36).await).await; })*
        }
    };
}

on_both_servers!(
    kubectl::the_crd_applies_without_a_warning_and_is_structural,
    status::spec_and_status_are_written_apart,
    spec::an_unknown_field_is_refused_when_strict_and_pruned_otherwise,
    spec::null_takes_an_optional_field_away,
    spec::null_in_a_new_object_counts_as_absent,
    spec::two_managers_keep_a_target_each,
    status::a_condition_is_refused_as_metav1_condition_is,
    spec::defaults_are_visible_and_a_fresh_object_is_not_done,
    spec::an_agent_id_can_be_neither_changed_nor_added_nor_removed,
    spec::every_rule_accepts_the_right_and_refuses_the_wrong_with_its_own_message,
    spec::bad_inputs_are_refused_with_the_field_path,
    spec::a_refused_number_names_the_limit,
    kubectl::the_schema_is_affordable_with_all_bounds_doubled,
    kubectl::the_table_fits_eighty_columns,
    kubectl::short_name_category_and_field_selectors_work,
    kubectl::explain_has_a_text_for_every_field,
    status::status_is_limited,
    spec::a_name_of_253_characters_is_an_object_like_any_other,
    decoding::whole_numbers_written_with_a_fraction_decode,
    decoding::what_the_server_accepts_decodes_and_encodes_to_something_it_accepts,
    status::every_condition_that_we_write_is_accepted,
    status::a_status_at_its_limits_is_accepted_and_comes_back_unchanged,
    decoding::a_spec_that_we_write_is_accepted_and_comes_back_unchanged,
    manifests::the_corpus_gets_the_same_verdict_from_kubectl_and_from_us,
    manifests::random_objects_get_the_same_verdict_from_kubectl_and_from_us,
    kubectl::applying_the_crd_again_changes_nothing_and_leaves_no_diff,
);

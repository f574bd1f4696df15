//! Every limit of the engine, and the test that meets it.

use std::collections::BTreeSet;

use engine_tests::sources::sources;

/// File, limit, and a test that exceeds it, or fails where it is gone.
const MET: &[(&str, &str, &str)] = &[
    ("engine/cli/src/traces.rs", "END_MAX", "a_collector_that_fails_delays_nothing_and_what_is_lost_is_said_once"),
    ("engine/cli/src/traces.rs", "SPANS_SENT_MAX", "many_spans_are_many_requests"),
    ("engine/cli/src/traces.rs", "SPANS_WAITING_MAX", "what_does_not_fit_into_the_queue_is_counted"),
    ("engine/cli/src/traces/export.rs", "ATTEMPTS_MAX", "a_request_is_tried_a_few_times_and_only_where_that_may_help"),
    ("engine/cli/src/traces/export.rs", "RETRY_WAIT_MAX", "the_wait_between_attempts_doubles_and_is_bounded"),
    (
        "engine/connect/src/collector.rs",
        "ANSWER_BYTES_MAX",
        "an_answer_that_is_too_long_is_not_read_and_one_that_is_no_message_says_nothing",
    ),
    ("engine/cli/src/monitor.rs", "TURN_MAX", "a_service_that_decides_nothing_for_long_is_not_alive"),
    ("engine/cli/src/web/metrics.rs", "LABELS_MAX", "labels_are_bounded_and_their_names_fit"),
    ("engine/cli/src/web/metrics.rs", "LABEL_CHARS_MAX", "labels_are_bounded_and_their_names_fit"),
    ("engine/cli/src/web/pipeline.rs", "CELL_CHARS_MAX", "no_more_is_shown_than_can_be_read"),
    ("engine/cli/src/web/pipeline.rs", "OUTBOX_SHOWN_MAX", "no_more_is_shown_than_can_be_read"),
    ("engine/cli/src/web/pipeline.rs", "QUARANTINE_SHOWN_MAX", "no_more_is_shown_than_can_be_read"),
    (
        "engine/cli/src/web/server.rs",
        "CONNECTIONS_MAX",
        "connections_that_say_nothing_hold_up_others_for_a_moment_only",
    ),
    (
        "engine/cli/src/web/server.rs",
        "HEADER_TIME_MAX",
        "connections_that_say_nothing_hold_up_others_for_a_moment_only",
    ),
    ("engine/cli/src/web/server.rs", "HEADER_BYTES_MAX", "requests_that_are_too_large_are_refused"),
    ("engine/cli/src/web/server.rs", "HEADERS_MAX", "requests_that_are_too_large_are_refused"),
    ("engine/core/src/discover/values.rs", "FREQUENT_VALUES_MAX", "few_values_are_listed_and_many_are_not"),
    ("engine/cli/src/commands/discover/text.rs", "CELL_CHARS_MAX", "rows_and_cells_are_shown_up_to_a_number"),
    (
        "engine/cli/src/commands/discover/text.rs",
        "CODES_SHOWN_MAX",
        "reasons_and_codes_are_shown_up_to_a_number_and_the_rest_is_counted",
    ),
    (
        "engine/cli/src/commands/discover/text.rs",
        "OTHERS_SHOWN_MAX",
        "other_tables_are_listed_up_to_a_number_and_the_rest_is_counted",
    ),
    (
        "engine/cli/src/commands/discover/text.rs",
        "REASONS_SHOWN_MAX",
        "reasons_and_codes_are_shown_up_to_a_number_and_the_rest_is_counted",
    ),
    ("engine/cli/src/commands/discover/text.rs", "ROWS_SHOWN_MAX", "rows_and_cells_are_shown_up_to_a_number"),
    ("engine/cli/src/survey/read.rs", "COUNTED_TABLES_MAX", "tables_that_are_not_counted_and_failures_are_said"),
    (
        "engine/cli/src/survey/read.rs",
        "FACTS_MAX",
        "tables_are_asked_about_by_the_hundred_and_an_answer_that_is_cut_is_said",
    ),
    ("engine/cli/src/survey/read.rs", "FAILURES_TOLD_MAX", "tables_that_are_not_counted_and_failures_are_said"),
    ("engine/cli/src/survey/read.rs", "NAMES_MAX", "more_tables_than_are_read_are_said"),
    ("engine/cli/src/survey/read.rs", "SAMPLED_TABLES_MAX", "tables_of_which_no_row_is_looked_at_are_said"),
    (
        "engine/cli/src/survey/read.rs",
        "TABLES_ASKED_MAX",
        "tables_are_asked_about_by_the_hundred_and_an_answer_that_is_cut_is_said",
    ),
    ("engine/cli/src/survey/read.rs", "TABLES_MAX", "more_tables_than_are_read_are_said"),
    ("engine/cli/src/survey/sample.rs", "COUNTED_ROWS_MAX", "rows_and_columns_that_are_not_looked_at_are_said"),
    ("engine/cli/src/survey/sample.rs", "SAMPLED_COLUMNS_MAX", "rows_and_columns_that_are_not_looked_at_are_said"),
    ("engine/cli/src/survey/sample.rs", "SAMPLED_ROWS_MAX", "rows_and_columns_that_are_not_looked_at_are_said"),
    ("engine/cli/src/survey/session.rs", "ANSWER_BYTES_MAX", "an_answer_is_cut_at_rows_and_at_bytes"),
    ("engine/cli/src/survey/session.rs", "STATEMENTS_MAX", "nothing_is_asked_after_so_many_statements_or_so_long"),
    ("engine/cli/src/survey/session.rs", "SURVEY_TIME_MAX", "nothing_is_asked_after_so_many_statements_or_so_long"),
    ("engine/core/src/discover/judge.rs", "SCORE_MAX", "a_score_ends_at_a_hundred"),
    ("engine/core/src/discover/roles.rs", "EVENT_CODES_MAX", "few_codes_are_events_and_many_are_not"),
    ("engine/core/src/discover/times.rs", "AHEAD_MAX", "a_time_far_ahead_was_planned"),
    ("engine/cli/src/commands/check/facts.rs", "RIGHTS_SHOWN_MAX", "rights_are_listed_up_to_a_number"),
    ("engine/cli/src/commands/preview/chart/words.rs", "LIVE_TOLD_MAX", "no_more_is_told_than_can_be_read"),
    ("engine/cli/src/commands/preview/chart/words.rs", "NAMES_TOLD_MAX", "no_more_is_told_than_can_be_read"),
    ("engine/cli/src/commands/preview/chart/words.rs", "OVERLAPS_TOLD_MAX", "no_more_is_told_than_can_be_read"),
    ("engine/cli/src/state/postgres/connect.rs", "CONNECTIONS_MAX", "runs_that_hold_every_connection_hold_up_no_lease"),
    ("engine/cli/src/state/postgres/address.rs", "LEASE_MAX", "no_error_and_no_form_shows_the_password"),
    ("engine/cli/src/state/postgres/address.rs", "SCHEMA_BYTES_MAX", "no_error_and_no_form_shows_the_password"),
    ("engine/cli/src/state/postgres/pending.rs", "PENDING_BYTES_MAX", "thousands_of_writes_are_one_transaction"),
    ("engine/cli/src/state/postgres/pending.rs", "PENDING_MAX", "thousands_of_writes_are_one_transaction"),
    ("engine/core/src/anonymise.rs", "ATTEMPTS_MAX", "a_shape_that_is_used_up_ends_and_keeps_its_shape"),
    ("engine/core/src/recording.rs", "RECORDED_ROWS_MAX", "what_is_no_recording_says_where"),
    ("engine/cli/src/recordings.rs", "RECORDING_BYTES_MAX", "a_recording_that_is_none_or_too_long_is_refused"),
    ("engine/core/src/backfill.rs", "SLICES_MAX", "what_cannot_be_filled_is_said"),
    ("engine/core/src/state.rs", "QUARANTINE_ROWS_MAX", "quarantine_is_capped"),
    ("engine/cli/src/notify.rs", "SEND_TIME_MAX", "a_manager_that_reads_nothing_holds_up_nobody"),
    ("engine/cli/src/notify.rs", "STATUS_BYTES_MAX", "a_path_is_spoken_to"),
    ("engine/cli/src/service/files.rs", "UNSETTLED_LOOKS_MAX", "what_never_stands_still_is_read_all_the_same"),
    ("engine/cli/src/service.rs", "TICK_MAX", "the_loop_sleeps_until_something_is_due_and_never_spins"),
    ("engine/cli/src/service.rs", "ANSWER_AT_STOP_MAX", "an_answer_that_does_not_come_holds_up_no_stop"),
    ("engine/cli/src/references.rs", "FILE_BYTES_MAX", "a_file_is_read_up_to_a_limit"),
    ("engine/connect/src/csv.rs", "COLUMNS_MAX", "files_of_any_bytes_are_read_or_refused"),
    ("engine/connect/src/csv/folder.rs", "NAMES_MAX", "a_file_that_was_just_written_waits"),
    ("engine/connect/src/csv/records.rs", "RECORD_BYTES_MAX", "memory_is_bounded_by_the_longest_record"),
    ("engine/connect/src/csv/text.rs", "DECOMPRESSED_BYTES_MAX", "more_than_may_come_out_fails"),
    ("engine/connect/src/csv/text.rs", "BOM_BYTES_MAX", "encodings"),
    ("engine/connect/src/failure.rs", "MESSAGE_CHARS_MAX", "a_long_message_is_cut_at_a_character"),
    ("engine/connect/src/http.rs", "SLICES_MAX", "slices_cover_the_window_without_a_gap_or_an_overlap"),
    ("engine/connect/src/http/body.rs", "BODY_BYTES_MAX", "an_api_that_means_harm_ends_its_run_with_words"),
    ("engine/connect/src/http/exchange.rs", "REDIRECTS_MAX", "an_api_that_means_harm_ends_its_run_with_words"),
    ("engine/connect/src/http/json.rs", "NESTING_MAX", "a_deep_document_is_refused"),
    ("engine/connect/src/http/json.rs", "VALUES_MAX", "values_are_counted_outside_of_texts"),
    ("engine/connect/src/http/json.rs", "ZEROS_MAX", "exponents_are_written_out"),
    ("engine/connect/src/http/paging.rs", "PAGES_MAX", "an_answer_has_no_more_pages_than_the_limit"),
    ("engine/connect/src/http/records.rs", "COLUMNS_MAX", "results_of_any_shape_are_read_or_refused_whole"),
    ("engine/connect/src/oracle.rs", "HANGING_MAX", "attempts_that_hang_are_bounded_by_their_place"),
    ("engine/connect/src/oracle/bind.rs", "DIGITS_MAX", "a_number_with_too_many_digits_is_named"),
    ("engine/connect/src/sqlserver/bind.rs", "TEXT_UNITS_MAX", "values_are_declared_as_what_they_are"),
    ("engine/connect/src/sqlserver/bind.rs", "DIGITS_MAX", "a_number_with_too_many_digits_is_named"),
    ("engine/connect/src/sqlserver/decode.rs", "EXACT_MONEY_MAX", "money"),
    ("engine/connect/src/to/http/answer.rs", "ANSWER_BYTES_MAX", "a_platform_that_means_harm_accepts_nothing"),
    ("engine/connect/src/web/reply.rs", "QUOTE_CHARS_MAX", "quotes_are_one_line_short_and_without_secrets"),
    ("engine/core/src/deliver.rs", "RETRY_AFTER_MAX", "the_wait_is_bounded"),
    ("engine/core/src/mapping.rs", "SHOWN_CHARS_MAX", "json_is_carried_as_it_is_where_every_reader_can_read_it"),
    ("engine/core/src/run.rs", "OUTBOX_BYTES_MAX", "a_full_outbox_stops_reading"),
    ("engine/core/src/run/watch.rs", "WATCH_QUERIES_MAX", "many_live_runs_are_worked_through"),
    ("engine/core/src/text.rs", "NUMBER_CHARS_MAX", "what_is_no_number_says_why"),
    ("engine/core/src/time/civil.rs", "YEAR_MAX", "the_range_is_0001_to_9999"),
    ("engine/core/src/time/civil.rs", "DAYS_MAX", "the_range_is_0001_to_9999"),
    ("engine/core/src/time/error.rs", "QUOTED_CHARS_MAX", "a_quote_is_clipped_and_stays_on_its_line"),
    ("engine/core/src/time/iso.rs", "FRACTION_DIGITS_MAX", "what_is_not_iso_is_refused"),
    ("engine/core/src/time/iso.rs", "OFFSET_HOURS_MAX", "what_is_not_iso_is_refused"),
    ("engine/core/src/transform.rs", "PAD_WIDTH_MAX", "a_step_that_cannot_work_says_why"),
    ("engine/core/src/transform.rs", "REGEX_BYTES_MAX", "no_pattern_or_template_runs_away"),
    ("engine/core/src/value.rs", "BATCH_ROWS_MAX", "a_page_may_hold_more_than_a_batch"),
    ("engine/core/src/value.rs", "VALUE_BYTES_MAX", "a_value_beyond_the_limit_costs_only_itself"),
    ("engine/spec/src/check/source.rs", "JSON_PATH_BYTES_MAX", "a_json_path_has_limits_that_quotes_do_not_count_for"),
    ("engine/spec/src/check/source.rs", "JSON_PATH_NESTING_MAX", "a_json_path_has_limits_that_quotes_do_not_count_for"),
    (
        "engine/spec/src/check/source.rs",
        "JSON_PATH_DESCENTS_MAX",
        "a_json_path_has_limits_that_quotes_do_not_count_for",
    ),
    ("engine/spec/src/diagnostic.rs", "MESSAGE_CHARS_MAX", "a_long_message_is_cut_at_a_character"),
    ("engine/spec/src/diagnostic.rs", "GUESSED_CHARS_MAX", "distances_count_single_edits"),
    ("engine/spec/src/expr/mod.rs", "EXPR_BYTES_MAX", "an_evaluation_has_an_end"),
    ("engine/spec/src/expr/mod.rs", "PAD_WIDTH_MAX", "a_transform_is_a_name_or_an_object_with_one_key"),
    ("engine/spec/src/jinja.rs", "EXPR_TOKENS_MAX", "rendering_has_an_end"),
    ("engine/spec/src/jinja.rs", "TEMPLATE_STATEMENTS_MAX", "rendering_has_an_end"),
    ("engine/spec/src/fix.rs", "LOOKS_MAX", "a_file_full_of_mistakes_that_defy_their_cure_is_left_in_time"),
    ("engine/spec/src/render/text.rs", "SHOWN_MAX", "specs_of_any_size_and_shape_are_told_what_is_wrong"),
    ("engine/spec/src/scalar.rs", "PERIOD_MAX", "numbers_and_times_beyond_all_bounds_are_refused"),
    ("engine/spec/src/sql/mod.rs", "IDENT_CHARS_MAX", "what_is_no_name_is_refused"),
    ("engine/spec/src/sql/mod.rs", "IDENT_PARTS_MAX", "what_is_no_name_is_refused"),
    ("engine/spec/src/sql/read_only.rs", "PARSE_DEPTH_MAX", "no_pattern_or_template_runs_away"),
    ("engine/spec/src/sql/read_only.rs", "PARSE_TOKENS_MAX", "rendering_has_an_end"),
    ("engine/spec/src/template/mod.rs", "TEMPLATE_BYTES_MAX", "rendering_has_an_end"),
    ("engine/spec/src/template/mod.rs", "STATEMENT_BYTES_MAX", "rendering_has_an_end"),
    ("engine/spec/src/template/mod.rs", "BINDS_MAX", "rendering_has_an_end"),
    ("engine/spec/src/text.rs", "FILE_BYTES_MAX", "what_is_not_utf8_or_too_long_is_a_finding"),
    ("engine/spec/src/yaml/tree.rs", "DEPTH_MAX", "depth_and_number_of_values_are_bounded"),
    ("engine/spec/src/yaml/tree.rs", "NODES_MAX", "depth_and_number_of_values_are_bounded"),
];

/// Limits that no test meets: those that only shorten what is shown, and those that cost too much to reach.
const UNMET: &[(&str, &str)] = &[
    ("engine/cli/src/commands/check/show.rs", "CELL_CHARS_MAX"),
    ("engine/cli/src/commands/docs/schema.rs", "PLACES_MAX"),
    ("engine/cli/src/commands/preview/chart/text.rs", "NAME_CHARS_MAX"),
    ("engine/cli/src/commands/preview/gather.rs", "LABEL_CHARS_MAX"),
    ("engine/cli/src/commands/preview/text.rs", "CELL_CHARS_MAX"),
    ("engine/cli/src/commands/preview/text.rs", "ROW_CHARS_MAX"),
    ("engine/cli/src/commands/quarantine/text.rs", "REASON_CHARS_MAX"),
    ("engine/cli/src/commands/state/copy.rs", "LINE_BYTES_MAX"),
    ("engine/cli/src/signals.rs", "STOP_SECONDS_MAX"),
    ("engine/cli/src/state/sqlite.rs", "FREE_PAGES_MAX"),
    ("engine/cli/src/validate/paths.rs", "FOLDER_DEPTH_MAX"),
    ("engine/connect/src/csv/folder.rs", "FILES_MAX"),
    ("engine/connect/src/http.rs", "PACE_MAX"),
    ("engine/connect/src/http/body.rs", "QUOTE_CHARS_MAX"),
    ("engine/connect/src/http/body.rs", "QUOTE_BYTES_MAX"),
    ("engine/connect/src/http/exchange.rs", "RETRIES_MAX"),
    ("engine/cli/src/rehearsal.rs", "BRAKES_MAX"),
    ("engine/cli/src/commands/approve/dry_run.rs", "LISTED_MAX"),
    ("engine/cli/src/commands/backfill/show.rs", "CELL_CHARS_MAX"),
    ("engine/cli/src/service.rs", "LOOK_MAX"),
    ("engine/cli/src/web/pipeline.rs", "OUTBOX_BYTES_MAX"),
    ("engine/cli/src/web/server.rs", "CONNECTION_TIME_MAX"),
    ("engine/cli/src/web/server.rs", "READERS_MAX"),
    ("engine/cli/src/web/server.rs", "STOP_MAX"),
    ("engine/cli/src/state/postgres/connect.rs", "CONNECT_MAX"),
    ("engine/cli/src/state/postgres/connect.rs", "LOCK_MAX"),
    ("engine/cli/src/state/postgres/connect.rs", "OPERATION_MAX"),
    ("engine/cli/src/state/postgres/connect.rs", "PING_MAX"),
    ("engine/cli/src/state/postgres/connect.rs", "LEASE_CONNECTIONS_MAX"),
    ("engine/cli/src/state/postgres/lease.rs", "GIVE_BACK_MAX"),
    ("engine/cli/src/state/postgres/lease.rs", "TAKE_MAX"),
    ("engine/cli/src/state/postgres/saved.rs", "READ_MAX"),
    ("engine/connect/src/http/records.rs", "NAMES_SHOWN_MAX"),
    ("engine/connect/src/http/table.rs", "NAMES_CHARS_SHOWN_MAX"),
    ("engine/connect/src/sqlserver/bind.rs", "BYTES_MAX"),
    ("engine/connect/src/sqlserver/describe.rs", "UNICODE_LENGTH_MAX"),
    ("engine/connect/src/sqlserver/login.rs", "ROUTES_MAX"),
    ("engine/connect/src/web.rs", "IDLE_MAX"),
    ("engine/connect/src/web/oauth.rs", "ANSWER_BYTES_MAX"),
    ("engine/core/src/cursor.rs", "TIME_CHARS_MAX"),
    ("engine/core/src/deliver.rs", "REFUSED_ALONE_MAX"),
    ("engine/core/src/probe.rs", "RIGHTS_MAX"),
    ("engine/core/src/run/watch.rs", "WATCHED_MAX"),
    ("engine/core/src/time/number.rs", "WHOLE_DIGITS_MAX"),
    ("engine/core/src/time/reader.rs", "TIME_NANOS_MAX"),
    ("engine/core/src/time/zone.rs", "SPANS_MAX"),
    ("engine/core/src/value.rs", "BATCH_BYTES_MAX"),
    ("engine/spec/src/expr/mod.rs", "EXPR_TEXT_BYTES_MAX"),
    ("engine/spec/src/fix.rs", "ROUNDS_MAX"),
    ("engine/spec/src/load/prune.rs", "ROUNDS_MAX"),
    ("engine/spec/src/scalar.rs", "BYTE_SIZE_MAX"),
    ("engine/spec/src/template/bounds.rs", "GAP_MAX"),
    ("engine/spec/src/template/check.rs", "BRANCH_CHOICES_MAX"),
    ("engine/spec/src/template/mod.rs", "LIST_VALUES_MAX"),
    ("engine/spec/src/template/outline.rs", "RENAMES_MAX"),
    ("engine/spec/src/yaml/scalar.rs", "FLOAT_DIGITS_MAX"),
    ("engine/spec/src/yaml/tree.rs", "SHOWN_CHARACTERS_MAX"),
];

/// The constants of a file that end in `_MAX`.
fn limits(text: &str) -> impl Iterator<Item = &str> {
    text.split("const ").skip(1).filter_map(|rest| {
        let name = &rest[..rest.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_')?];
        name.ends_with("_MAX").then_some(name)
    })
}

#[test]
fn every_limit_is_met_by_a_test_or_known_not_to_be() {
    let engine = sources("engine");
    let shipped = engine.iter().filter(|(path, _)| path.contains("/src/"));
    let there: BTreeSet<(&str, &str)> =
        shipped.flat_map(|(path, text)| limits(text).map(move |limit| (path.as_str(), limit))).collect();
    let listed: Vec<(&str, &str)> =
        MET.iter().map(|(path, limit, _)| (*path, *limit)).chain(UNMET.iter().copied()).collect();
    let once: BTreeSet<(&str, &str)> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "a limit is listed twice");
    assert_eq!(once.difference(&there).collect::<Vec<_>>(), [&("", ""); 0], "listed, and not there");
    assert_eq!(there.difference(&once).collect::<Vec<_>>(), [&("", ""); 0], "there, and not listed");
    let all: String = engine.iter().map(|(_, text)| text.as_str()).collect::<String>()
        + &sources("tests").into_iter().map(|(_, text)| text).collect::<String>();
    let missing: Vec<&str> =
        MET.iter().map(|(_, _, test)| *test).filter(|test| !all.contains(&format!("fn {test}("))).collect();
    assert_eq!(missing, [""; 0], "named as tests, and not there");
}

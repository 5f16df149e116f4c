use super::*;

fn texts(text: &str) -> (Vec<(String, usize)>, Vec<Problem>) {
    let mut problems = Vec::new();
    let documents = split(text, &mut problems);
    (documents.into_iter().map(|document| (document.text, document.start.line)).collect(), problems)
}

fn own(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    expected.iter().map(|(text, line)| ((*text).to_owned(), *line)).collect()
}

#[test]
fn documents_are_cut_at_lines_that_begin_with_three_dashes() {
    let (documents, problems) = texts("# c\n---\na: 1\n--- # x\nb: |\n  ---\n---\t\r\n---\nc: 2");
    assert_eq!(documents, own(&[("# c\n", 1), ("a: 1\n", 3), ("b: |\n  ---\n", 5), ("c: 2", 9)]));
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn what_stands_beside_a_separator_is_refused_and_hides_no_document() {
    let (documents, problems) = texts("a: 1\n--- {b: 2}\nc: 3\n");
    assert_eq!(documents, own(&[("a: 1\n", 1), ("c: 3\n", 3)]));
    assert_eq!((problems.len(), problems[0].at.line), (1, 2));
}

#[test]
fn json_values_follow_each_other_and_yaml_may_follow_one_of_them() {
    let (documents, problems) = texts(" {\"a\": 1}{\"b\":\n 2}\n{\"c\": 3}");
    assert_eq!(documents, own(&[("{\"a\": 1}", 1), ("{\"b\":\n 2}", 1), ("{\"c\": 3}", 3)]));
    assert!(problems.is_empty());
    let (documents, problems) = texts("{\"a\": 1}\nb: 2\n---\nc: 3\n");
    assert_eq!(documents, own(&[("{\"a\": 1}", 1), ("b: 2\n", 2), ("c: 3\n", 4)]));
    assert!(problems.is_empty());
    let (documents, problems) = texts("{\"a\": 1}{\"b\": 2}\nc: 3\n");
    assert_eq!((documents.len(), problems.len(), problems[0].at.line), (2, 1, 2));
}

#[test]
fn byte_order_marks_decide_how_a_file_is_decoded() {
    assert_eq!(decode(b"\xef\xbb\xbfa: \xc3\xbc"), ("a: ü".to_owned(), false));
    assert_eq!(decode(b"\xff\xfea\0:\0"), ("a:".to_owned(), false));
    assert_eq!(decode(b"\xfe\xff\0a\0:"), ("a:".to_owned(), false));
    assert_eq!(decode(b"a: \xff"), ("a: \u{fffd}".to_owned(), true));
}

#[test]
fn more_documents_than_are_read_are_a_problem_and_take_no_time() {
    for text in ["{} ".repeat(1_000_000), "a: 1\n---\n".repeat(400_000)] {
        let (documents, problems) = texts(&text);
        assert_eq!((documents.len(), problems.len()), (MAX_DOCUMENTS, 1));
    }
}

//! Goal: comments, strings, characters and lifetimes are told apart, and functions are measured
//! right. Method: small sources with one trap each.

use super::*;

#[test]
fn strings_and_comments_are_no_code() {
    let text = r##"let a = "fn x"; // fn y
/* fn /* z */ */ let b = r#"fn "w" "#; let c = b"q\"fn";"##;
    let source = Source::new(text);
    assert_eq!(source.code.len(), text.len());
    assert!(!source.code.contains("fn"), "{}", source.code);
    assert!(source.comments.contains("fn y") && source.comments.contains("z"));
    assert!(source.code.contains("let b") && source.code.contains("let c"));
}

#[test]
fn lifetimes_are_not_characters() {
    let source = Source::new("fn f<'a>(x: &'a str) { let c = 'é'; let q = '\\''; let b = '{'; }");
    let functions = source.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!(functions[0].parameters, 1);
    assert!(!source.code.contains('é'));
}

#[test]
fn parameters_are_counted_through_types() {
    let source = Source::new(
        "fn f<T: Fn(u8, u8) -> u8>(&self, a: Vec<(u8, u8)>, b: impl Fn(A, B) -> C,) -> [u8; 4]\n\
         where T: X<A, B> {\n}\nfn none() {}\nfn declared(a: u8);",
    );
    let counts: Vec<_> =
        source.functions().iter().map(|found| (found.name.clone(), found.parameters)).collect();
    assert_eq!(counts, [("f".to_owned(), 3), ("none".to_owned(), 0)]);
}

#[test]
fn a_function_is_as_long_as_its_lines() {
    let source = Source::new("\nfn f(\n) {\n  if x { }\n}\n");
    assert_eq!(source.functions()[0].line, 2);
    assert_eq!(source.functions()[0].lines, 4);
}

#[test]
fn test_modules_are_found_by_their_lines() {
    let source = Source::new("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n");
    let found = source.test_modules();
    assert_eq!((found.len(), found[0].start, found[0].end), (1, 2, 6));
    assert!(Source::new("#[cfg(test)]\nmod tests;\nfn a() {}").test_modules().is_empty());
}

#[test]
fn test_files_are_found_by_their_declarations() {
    let source = Source::new("#[cfg(test)]\nmod model;\nmod other;\n#[cfg(test)]\nmod a {}\n");
    assert_eq!(source.test_files(), ["model"]);
}

//! Everything that others say is text.

use crate::fixtures::{HOSTILE, hostile};
use crate::http::{get, serve};

/// Markup of a page without the contents of text: tags with their attributes.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect()
}

#[tokio::test]
async fn s8_hostile_text_is_text_on_every_page_and_in_every_field() {
    let fixture = hostile();
    let address = serve(&fixture).await;
    let mut paths: Vec<String> =
        ["/ui/", "/ui/activity", "/ui/registry", "/ui/system", "/ui/?size=200"].map(str::to_owned).into();
    for row in fixture.view.rows().values() {
        let part = |text: &str| form(text);
        paths.push(format!("/ui/endpoints/{}/{}", part(&row.id.namespace), part(&row.id.name)));
    }
    for text in HOSTILE {
        paths.push(format!("/ui/?q={}", form(text)));
        paths.push(format!("/ui/?status={}", form(text)));
        paths.push(format!("/ui/{}", form(text)));
        paths.push(format!("/ui/endpoints/{}/x", form(text)));
        paths.push(format!("/ui/registry?q={}", form(text)));
        paths.push(format!("/ui/activity?name={}", form(text)));
    }
    for path in paths {
        let answer = get(address, &path).await;
        let page = answer.text();
        assert!([200, 400, 404].contains(&answer.status), "{path}: {}", answer.status);
        for tag in tags(&page) {
            let name = tag.split([' ', '/']).next().unwrap();
            assert!(name != "img", "{path}: <{tag}>");
            assert!(
                !tag.to_lowercase().contains("onerror=alert") || !tag.contains(" onerror=alert(1)>"),
                "{path}: <{tag}>"
            );
            assert!(name != "script" || tag.contains(" src="), "{path}: an inline script <{tag}>");
            assert!(!tag.contains(" style="), "{path}: <{tag}>");
            assert!(!tag.contains("href=\"javascript:"), "{path}: <{tag}>");
        }
        let scripts = tags(&page).iter().filter(|tag| tag.starts_with("script")).count();
        assert!(scripts <= 1, "{path} has {scripts} scripts");
        let text: String = page.split('<').filter_map(|rest| rest.split('>').nth(1)).collect();
        assert!(!text.contains(['\u{202e}', '\u{2066}']), "{path} has raw direction marks");
    }
    let page = get(address, "/ui/registry").await.text();
    for shown in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "مرحبا بالعالم שלום",
        "👩‍🚀🚀 emoji ✓",
        "\\u{202e}gnp.exe\\u{2066}",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
}

fn form(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

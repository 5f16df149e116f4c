//! Forms and page links, as the list and other tables have them. All of it works without a script.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::list::Asked;
use super::params::Link;
use crate::view::query::{PROTOCOLS, SIZES, Sort};

/// Namespaces that are offered; any can be typed.
const OFFERED: usize = 100;

pub fn form(asked: &Asked, namespaces: &BTreeSet<&str>) -> Markup {
    let query = &asked.query;
    let status = asked.link.pairs().iter().find(|(name, _)| *name == "status");
    let filters = asked.link.without(&["sort", "size", "page"]);
    html! {
        form.filters method="get" action="./" role="search" aria-label="Filter endpoints" {
            @if let Some((name, value)) = status { input type="hidden" name=(name) value=(value); }
            label.grow { "Search" input #q type="search" name="q" value=(query.text) maxlength="200" placeholder="name, reason, host:port"; }
            label { "Namespace" input name="ns" value=(query.namespace.as_deref().unwrap_or_default()) list="namespaces" maxlength="63"; }
            datalist #namespaces { @for namespace in namespaces.iter().take(OFFERED) { option value=(namespace) {} } }
            label { "Protocol"
                select name="proto" {
                    option value="" { "any" }
                    @for protocol in PROTOCOLS { option value=(protocol) selected[query.protocol.as_deref() == Some(protocol)] { (protocol) } }
                }
            }
            label { "Labels" input name="label" value=(query.label.as_deref().unwrap_or_default()) maxlength="500" placeholder="team=a"; }
            @if let Some(capability) = &query.capability {
                label { "Capability" input name="cap" value=(capability) maxlength="64"; }
            }
            label { "Sort"
                select name="sort" {
                    @for (word, sort) in Sort::ALL {
                        option value=(if sort == Sort::default() { "" } else { word }) selected[query.sort == sort] { (sort_name(sort)) }
                    }
                }
            }
            label { "Rows"
                select name="size" {
                    @for size in SIZES {
                        option value=(if size == super::params::SIZE { String::new() } else { size.to_string() }) selected[asked.paging.size == size] { (size) }
                    }
                }
            }
            button type="submit" { "Apply" }
            @if !filters.pairs().is_empty() { a.clear href="./" { "Clear" } }
        }
    }
}

fn sort_name(sort: Sort) -> &'static str {
    match sort {
        Sort::Problems => "problems first",
        Sort::Name => "name",
        Sort::Namespace => "namespace",
        Sort::Since => "changed last",
    }
}

/// What the script shows instead of moving rows under somebody's pointer.
pub fn changed() -> Markup {
    html! { div #more .banner.note hidden { "The order changed. " button type="button" { "Show the new order" } } }
}

pub fn pager(link: &Link, to: &str, page: usize, pages: usize) -> Markup {
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages" {
                ul {
                    @if page > 1 {
                        li { a href=(link.page(1).href(to)) { "First" } }
                        li { a rel="prev" href=(link.page(page - 1).href(to)) { "Previous" } }
                    }
                    li { span { "Page " (page) " of " (pages) } }
                    @if page < pages {
                        li { a rel="next" href=(link.page(page + 1).href(to)) { "Next" } }
                        li { a href=(link.page(pages).href(to)) { "Last" } }
                    }
                }
            }
        }
    }
}

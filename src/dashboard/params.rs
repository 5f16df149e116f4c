//! Parameters of pages: read strictly, written back shortly.

use axum::response::{IntoResponse as _, Redirect, Response};

use super::fault::Fault;
use crate::view::query::{BadParameter, SIZES, bad};

/// Rows of a page when nothing else is asked for.
pub const SIZE: usize = 100;

/// Parameters as they came.
pub fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// There is no such parameter.
pub fn unknown(parameter: &str, given: &str, allowed: &[&str]) -> BadParameter {
    let problem = if allowed.is_empty() {
        "this page takes no parameters".to_owned()
    } else {
        format!("there is no such parameter; use {}", allowed.join(", "))
    };
    bad(parameter, given, problem)
}

/// Which page of how many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// From 1.
    pub page: usize,
    /// One of [`SIZES`].
    pub size: usize,
}

impl Default for Paging {
    fn default() -> Paging {
        Paging { page: 1, size: SIZE }
    }
}

impl Paging {
    /// Reads `page` or `size`; false when it is neither.
    pub fn read(&mut self, parameter: &str, value: &str) -> Result<bool, BadParameter> {
        match parameter {
            "page" => {
                let number = value.parse().ok().filter(|page| (1..=1_000_000).contains(page));
                self.page = number.ok_or_else(|| bad(parameter, value, "use a number from 1".to_owned()))?;
            }
            "size" => {
                let number = value.parse().ok().filter(|size| SIZES.contains(size));
                let allowed = || SIZES.map(|size| size.to_string()).join(", ");
                self.size =
                    number.ok_or_else(|| bad(parameter, value, format!("use one of {}", allowed())))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How many pages hold that many rows; at least one.
    pub fn pages(&self, rows: usize) -> usize {
        rows.div_ceil(self.size).max(1)
    }

    /// Rows of this page: beyond the last page, those of the last.
    pub fn range(&self, rows: usize) -> std::ops::Range<usize> {
        let page = self.page.min(self.pages(rows));
        let start = (page - 1) * self.size;
        start..(start + self.size).min(rows)
    }
}

/// The parameters of the page that is asked for, in the order in which links write them.
#[derive(Clone, Debug, Default)]
pub struct Link(Vec<(&'static str, String)>);

impl Link {
    /// From pairs; empty values are left out.
    pub fn new(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Link {
        Link(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The same with one parameter changed, or with an empty value taken out. Another filter or order
    /// begins on the first page.
    pub fn with(&self, name: &'static str, value: impl Into<String>) -> Link {
        let value = value.into();
        let mut pairs = self.0.clone();
        pairs.retain(|(other, _)| *other != name && *other != "page");
        if !value.is_empty() {
            pairs.push((name, value));
        }
        Link(pairs)
    }

    /// To a page by its number.
    pub fn page(&self, page: usize) -> Link {
        self.with("page", if page > 1 { page.to_string() } else { String::new() })
    }

    /// Without any of these.
    pub fn without(&self, names: &[&str]) -> Link {
        Link(self.0.iter().filter(|(name, _)| !names.contains(name)).cloned().collect())
    }

    /// Each parameter.
    pub fn pairs(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// As the query of a link to the page `to`, which is `./` for the list.
    pub fn href(&self, to: &str) -> String {
        if self.0.is_empty() {
            return to.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        format!("{to}?{}", query.replace("%2C", ","))
    }
}

/// A form sends every field: the address that people keep has only those that say something.
pub fn tidy(given: &[(String, String)], link: &Link, to: &str) -> Option<Response> {
    let says_nothing = |(name, value): &(String, String)| {
        value.is_empty() || !link.pairs().iter().any(|(kept, _)| kept == name)
    };
    given.iter().any(says_nothing).then(|| Redirect::temporary(&link.href(to)).into_response())
}

/// No parameters at all.
pub fn none(query: Option<&str>) -> Result<(), Fault> {
    match pairs(query).first() {
        Some((name, value)) => Err(unknown(name, value, &[]).into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_beyond_the_last_shows_the_last_and_links_drop_defaults() {
        let paging = Paging { page: 9, size: 25 };
        assert_eq!((paging.pages(60), paging.range(60), paging.range(0)), (3, 50..60, 0..0));
        let link = Link::new([("q", "a b".to_owned()), ("ns", String::new()), ("page", "3".to_owned())]);
        assert_eq!(link.href("./"), "./?q=a+b&page=3");
        assert_eq!(link.with("status", "failing,rejected").href("./"), "./?q=a+b&status=failing,rejected");
        assert_eq!(link.page(1).with("q", "").href("./"), "./");
    }
}

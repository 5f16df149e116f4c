//! Secrets and `ConfigMaps` of the directory, as the vault takes them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::ByteString;

use crate::manifest::{DataObject, Problem};
use crate::vault::{Object, Reading};

fn decode(text: &str) -> Option<Vec<u8>> {
    // YAML folds long lines; kubectl takes base64 with line ends in it.
    let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    serde_json::from_value::<ByteString>(text.into()).ok().map(|bytes| bytes.0)
}

/// What the API server would refuse of it: told without the value.
pub fn problems(object: &DataObject) -> Vec<Problem> {
    let wrong = object.encoded.iter().filter(|(_, (_, text))| decode(text).is_none());
    wrong.map(|(key, (at, _))| Problem::new(*at, key.as_str(), "must be base64")).collect()
}

/// The object with its values, if it is declared; a value that is no base64 is not there.
pub fn reading(object: Option<&DataObject>) -> Reading {
    let Some(object) = object else { return Reading::Missing };
    let encoded = || object.encoded.iter().map(|(key, (_, text))| (key, text));
    let mut hasher = DefaultHasher::new();
    (&object.labels, &object.annotations, &object.plain).hash(&mut hasher);
    // Not their places: a line more in the file changes nothing.
    encoded().for_each(|value| value.hash(&mut hasher));
    let decoded = encoded().filter_map(|(key, text)| Some((key.clone(), decode(text)?)));
    let plain = object.plain.iter().map(|(key, text)| (key.clone(), text.clone().into_bytes()));
    Reading::Object(Object::new(
        format!("{:016x}", hasher.finish()),
        &object.labels,
        &object.annotations,
        decoded.chain(plain),
    ))
}

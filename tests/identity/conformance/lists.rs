//! Rules of lists: pages, filters, and visibility for strangers.

use super::resource::List;
use super::{Run, parameters};
use crate::matrix::world::Response;
use serde_json::Value;
use uuid::Uuid;

/// The page limit where the contract names none.
const LIMIT_MAX: u64 = 1_000;

/// The largest page of a list.
pub fn most(operation: &str) -> u64 {
    let parameters = parameters::of(operation);
    let limit = parameters.iter().find(|parameter| parameter.name == "page[limit]").unwrap();
    limit.maximum.unwrap_or(LIMIT_MAX)
}

fn rows(sent: &Response) -> Vec<Value> {
    sent.json()["data"].as_array().cloned().unwrap_or_default()
}

fn total(sent: &Response) -> u64 {
    sent.json()["meta"]["page[total]"].as_u64().unwrap_or(u64::MAX)
}

impl Run<'_> {
    pub async fn listed(&mut self, list: &List) {
        let query = (list.rows)(self.world).await;
        let path = self.operation(list.operation).path.clone();
        let all = self.get(&format!("{path}?{query}")).await;
        self.expect(all.status == 200 && all.json()["meta"].is_object(), "is listed", &all);
        if list.paged.get().is_some() {
            self.bounds(list, &format!("{path}?{query}")).await;
            self.pages(&format!("{path}?{query}")).await;
        }
        self.filters(list, &path, &query).await;
        if let Some(scope) = list.scope.get() {
            self.as_stranger(scope, &path, &query).await;
        }
    }

    async fn bounds(&mut self, list: &List, path: &str) {
        let beyond = (most(list.operation) + 1).to_string();
        let wrong = ["-1", "1.5", "x", "", "18446744073709551616", "1e400"];
        for (name, value) in wrong
            .iter()
            .flat_map(|value| [("page[limit]", *value), ("page[offset]", *value)])
            .chain([("page[limit]", &*beyond)])
        {
            let sent = self.get(&format!("{path}&{name}={value}")).await;
            self.names(&sent, name, &format!("{name}={value} is refused"));
        }
        let (whole, pointed) =
            (self.get(&format!("{path}&page[limit]=1")).await, self.get(&format!("{path}&page[limit]=1.0")).await);
        self.expect(whole.status == 200 && rows(&whole).len() == 1, "a page of one", &whole);
        let same = pointed.status == 200 && rows(&pointed) == rows(&whole);
        self.expect(same, "1.0 is a whole number", &pointed);
        let none = self.get(&format!("{path}&page[limit]=0")).await;
        self.expect(none.status == 200 || none.status == 400, "a page of none", &none);
    }

    async fn pages(&mut self, path: &str) {
        let first = self.get(&format!("{path}&page[limit]=2")).await;
        let total_rows = total(&first);
        self.expect((2..10_000).contains(&total_rows), "there is a total", &first);
        let (mut seen, mut offset) = (Vec::new(), 0);
        while offset < total_rows.min(60) {
            let page = self.get(&format!("{path}&page[limit]=7&page[offset]={offset}")).await;
            self.expect(total(&page) == total_rows, "every page has the same total", &page);
            seen.extend(rows(&page));
            offset += 7;
        }
        let expected = usize::try_from(offset.min(total_rows)).unwrap();
        self.expect(seen.len() == expected, "pages together are the total", &first);
        let texts: std::collections::BTreeSet<_> = seen.iter().map(Value::to_string).collect();
        self.expect(texts.len() == seen.len(), "no row is on two pages", &first);
        let past = self.get(&format!("{path}&page[offset]={}", total_rows + 5)).await;
        let empty = past.status == 200 && rows(&past).is_empty() && total(&past) == total_rows;
        self.expect(empty, "beyond the end there is nothing", &past);
    }

    async fn filters(&mut self, list: &List, path: &str, query: &str) {
        for name in ["filter[no-such]", "no-such", "page[no-such]"] {
            let sent = self.get(&format!("{path}?{query}&{name}=1")).await;
            self.names(&sent, name, &format!("{name} is unknown"));
        }
        // The scope parameter is sent once.
        let given = query.split('=').next().unwrap_or_default();
        for parameter in parameters::of(list.operation) {
            let Some(malformed) = parameter.malformed() else { continue };
            let rest = if parameter.name == given { "" } else { query };
            let sent = self.get(&format!("{path}?{rest}&{}={malformed}", parameter.name)).await;
            self.names(&sent, &parameter.name, &format!("{}={malformed} is refused", parameter.name));
        }
    }

    fn names(&mut self, sent: &Response, parameter: &str, rule: &str) {
        let named = sent.json()["errors"][0]["source"]["parameter"] == parameter;
        self.expect(sent.status == 400 && named, rule, sent);
    }

    /// Compares as a stranger: a resource of A and an unknown one are answered alike.
    async fn as_stranger(&mut self, scope: &str, path: &str, query: &str) {
        let foreign = self.get_as_stranger(&format!("{path}?{query}")).await;
        let unknown = self.get_as_stranger(&format!("{path}?{scope}={}", Uuid::new_v4())).await;
        let same = (foreign.status, &foreign.text) == (unknown.status, &unknown.text);
        self.expect(same, "to strangers as unknown", &foreign);
        self.expect(foreign.status != 403, "what is not seen is not forbidden", &foreign);
    }
}

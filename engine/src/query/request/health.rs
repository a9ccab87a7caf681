//! The JSON body of a health check (SPEC section 3).

use super::json::{Reader, RequestError};

/// Which metrics are expected of which hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthRequest {
    /// The cluster.
    pub cluster: String,
    /// Its hosts to be judged; each gets an entry in the answer.
    pub nodes: Vec<String>,
    /// The metrics each of them should have.
    pub metric_names: Vec<String>,
}

impl HealthRequest {
    /// Reads the body of a health check.
    ///
    /// # Errors
    /// [`RequestError`]: as for a query, and any field that is not one of the three.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut request = Self::default();
        let mut reader = Reader::new(body);
        let mut fields = reader.object("the request")?;
        while let Some(key) = reader.next_key(&mut fields)? {
            match &*key {
                "cluster" => reader.update_string("cluster", &mut request.cluster)?,
                "nodes" => request.nodes = reader.string_list("nodes")?.unwrap_or_default(),
                "metric-names" => {
                    request.metric_names = reader.string_list("metric-names")?.unwrap_or_default();
                }
                _ => return Err(RequestError::unknown_field(&key)),
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_fields() {
        let request =
            HealthRequest::parse(br#"{"cluster":"c","nodes":["a","b"],"metric-names":["m"]}"#).unwrap();
        assert_eq!(
            request,
            HealthRequest {
                cluster: "c".into(),
                nodes: vec!["a".into(), "b".into()],
                metric_names: vec!["m".into()]
            }
        );
        assert_eq!(HealthRequest::parse(br#"{"nodes":null}"#).unwrap(), HealthRequest::default());
    }

    #[test]
    fn refuses_an_unknown_field_by_name() {
        let error = HealthRequest::parse(br#"{"nodes":["a"],"metrics":[]}"#).unwrap_err();
        assert!(error.to_string().contains("\"metrics\""), "{error}");
        assert!(HealthRequest::parse(b"x").is_err());
        assert!(HealthRequest::parse(br#"{"nodes":"a"}"#).is_err());
    }
}

//! Checks requests about backup schedules.

use lodgepole_types::{Frequency, IndexName, Limits};

use super::control_body;
use crate::ApiError;
use crate::wire::schedules::{CreateSchedule, RetentionRequest, TIME_BASED, UpdateSchedule};

/// A schedule to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// How often it runs.
    pub frequency: Frequency,
    /// Days after which its backups are deleted.
    pub expire_after_days: u32,
}

/// A change of a schedule; absent parts stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleChange {
    /// How often it runs.
    pub frequency: Option<Frequency>,
    /// Days after which its later backups are deleted.
    pub expire_after_days: Option<u32>,
    /// Whether it runs.
    pub enabled: Option<bool>,
}

/// Reads `POST /indexes/{index_name}/backup-schedules`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn create_schedule(body: &[u8], limits: &Limits) -> Result<NewSchedule, ApiError> {
    let request: CreateSchedule = control_body(body)?;
    if request.schedule.kind != TIME_BASED {
        return Err(ApiError::invalid(format!(
            "schedule.type must be '{TIME_BASED}', got '{}'",
            request.schedule.kind.escape_default()
        )));
    }
    // The name begins those of its backups, so it follows their rule.
    IndexName::parse(&request.name)
        .map_err(|error| ApiError::invalid(format!("The name of the schedule: {}", error.0)))?;
    Ok(NewSchedule {
        name: request.name,
        frequency: frequency(&request.schedule.frequency)?,
        expire_after_days: retention(&request.retention, limits)?,
    })
}

/// Reads `PATCH /backup-schedules/{schedule_id}`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn update_schedule(body: &[u8], limits: &Limits) -> Result<ScheduleChange, ApiError> {
    let request: UpdateSchedule = control_body(body)?;
    Ok(ScheduleChange {
        frequency: request.frequency.as_deref().map(frequency).transpose()?,
        expire_after_days: request
            .retention
            .as_ref()
            .map(|wanted| retention(wanted, limits))
            .transpose()?,
        enabled: request.enabled,
    })
}

fn frequency(text: &str) -> Result<Frequency, ApiError> {
    Frequency::parse(text).ok_or_else(|| {
        ApiError::invalid(format!(
            "frequency must be 'daily', 'weekly' or 'monthly', got '{}'",
            text.escape_default()
        ))
    })
}

fn retention(wanted: &RetentionRequest, limits: &Limits) -> Result<u32, ApiError> {
    let (days, max) = (wanted.expire_after_days, limits.backup_retention_days_max);
    u32::try_from(days).ok().filter(|days| (1..=max).contains(days)).ok_or_else(|| {
        ApiError::invalid(format!(
            "retention.expire_after_days must be between 1 and {max}, got {days}"
        ))
    })
}

#[cfg(test)]
mod tests {
    //! Goal: only schedules that can run are taken. Method: a good body, and one fault at a time.
    use serde_json::json;

    use super::*;

    fn create(body: &serde_json::Value) -> Result<NewSchedule, ApiError> {
        create_schedule(body.to_string().as_bytes(), &Limits::default())
    }

    fn good() -> serde_json::Value {
        json!({
            "name": "nightly",
            "schedule": {"type": "time-based", "frequency": "daily"},
            "retention": {"expire_after_days": 90},
        })
    }

    #[test]
    fn a_good_body_is_read() {
        let wanted = NewSchedule {
            name: "nightly".to_owned(),
            frequency: Frequency::Daily,
            expire_after_days: 90,
        };
        assert_eq!(create(&good()).unwrap(), wanted);
    }

    #[test]
    fn faults_are_named() {
        for (pointer, value, part, status) in [
            ("/name", json!("Nightly"), "name of the schedule", 400),
            ("/schedule/type", json!("cron"), "'time-based'", 400),
            ("/schedule/frequency", json!("hourly"), "'hourly'", 400),
            ("/retention/expire_after_days", json!(0), "between 1 and", 400),
            ("/retention/expire_after_days", json!(1_000_000), "between 1 and", 400),
            ("/retention", json!(null), "retention", 422),
        ] {
            let mut body = good();
            *body.pointer_mut(pointer).unwrap() = value;
            let error = create(&body).unwrap_err();
            assert_eq!(error.kind().http_status(), status, "{pointer}");
            if status == 400 {
                assert!(error.message().contains(part), "{}", error.message());
            }
        }
    }

    #[test]
    fn a_change_holds_only_what_was_sent() {
        let change = update_schedule(br#"{"enabled": false}"#, &Limits::default()).unwrap();
        let wanted =
            ScheduleChange { frequency: None, expire_after_days: None, enabled: Some(false) };
        assert_eq!(change, wanted);
        let bad = update_schedule(br#"{"frequency": "yearly"}"#, &Limits::default()).unwrap_err();
        assert_eq!(bad.kind().http_status(), 400);
    }
}

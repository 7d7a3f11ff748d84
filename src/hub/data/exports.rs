//! Scheduled exports: the schedule is checked, secrets are sealed, and the exporter is notified.

use std::time::Instant;

use crate::{
    error::{Error, Reason, Result},
    export::{
        exporter::Tested,
        schedule::Schedule,
        targets::{hosts, place},
    },
    hub::Hub,
    id::{DataTableId, ExportId, first_uuid_at},
    secret::Claim,
    store::{
        Scope,
        data::{
            run::Run,
            runs,
            scheduled::{self, FileFormat, NewExport, ScheduledExport},
        },
    },
};

impl Hub {
    /// Adds a scheduled export. `claims` are the secrets that its target requires.
    pub async fn create_scheduled_export(
        &self,
        scope: &Scope,
        table: DataTableId,
        new: NewExport,
        claims: &[Claim],
    ) -> Result<ScheduledExport> {
        let schedule = self.check_export(&new)?;
        self.check_hosts(&hosts(&new.kind, &new.settings))?;
        let now = self.store.now();
        let next = schedule.next(now).filter(|_| new.enabled);
        let position = (!new.include_existing_rows).then(|| first_uuid_at(now));
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        let seal = |id: ExportId| {
            let place = place(scope.tenant(), id);
            let sealed = self.seal(&place, claims, &settings, None, |_| Ok(()))?;
            check_login(&kind, sealed)
        };
        scheduled::insert(scope, table, new, next, position, seal).await
    }

    /// Replaces a scheduled export. An omitted secret is kept, as long as the type of the target and the address of the
    /// secret stay the same.
    pub async fn update_scheduled_export(
        &self,
        scope: &Scope,
        table: DataTableId,
        id: ExportId,
        new: NewExport,
        claims: &[Claim],
    ) -> Result<ScheduledExport> {
        let schedule = self.check_export(&new)?;
        let next = schedule.next(self.store.now()).filter(|_| new.enabled);
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        let place = place(scope.tenant(), id);
        let named = hosts(&kind, &settings);
        let seal = |before: &NewExport| {
            if named != hosts(&before.kind, &before.settings) {
                self.check_hosts(&named)?;
            }
            let stored = (before.kind == kind).then(|| before.stored());
            let sealed = self.seal(&place, claims, &settings, stored, |_| Ok(()))?;
            check_login(&kind, sealed)
        };
        scheduled::update(scope, table, id, new, next, seal).await
    }

    /// Begins a run now.
    pub async fn begin_export_run(
        &self,
        scope: &Scope,
        table: DataTableId,
        id: ExportId,
    ) -> Result<Run> {
        let until = self.store.recorded_until().await?;
        let run = runs::request(scope, table, id, until).await?;
        self.exports.wake();
        Ok(run)
    }

    /// Tests the target of an export. Returns the duration as well, in milliseconds.
    pub async fn test_scheduled_export(
        &self,
        scope: &Scope,
        table: DataTableId,
        id: ExportId,
    ) -> Result<(Tested, i64)> {
        let export = scheduled::get(scope, table, id).await?;
        let _trial = self.trials.begin(scope.tenant())?;
        let began = Instant::now();
        let tested = self.exports.test(scope.tenant(), &export).await?;
        let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok((tested, took))
    }

    /// Checks the rules that depend on several members or on the hub's settings. Returns the schedule.
    fn check_export(&self, new: &NewExport) -> Result<Schedule> {
        let schedule = Schedule::parse(&new.schedule, &new.timezone)
            .map_err(|(member, rule)| Error::field(member, rule))?;
        if schedule.next(self.store.now()).is_none() {
            return Err(Error::field("schedule", "must have a time in the future"));
        }
        let is_csv = new.file.format == FileFormat::Csv;
        for (member, is_set) in [("raw", new.file.raw), ("units", new.file.units)] {
            if is_set && !is_csv {
                return Err(Error::field(member, "requires the format csv"));
            }
        }
        if new.file.gzip && new.file.format == FileFormat::Parquet {
            let rule = "cannot be combined with the format parquet, which is compressed";
            return Err(Error::field("gzip", rule));
        }
        if new.kind == "folder" && self.config.export_folder.is_none() {
            let rule = "folder requires the operator's setting export_folder";
            return Err(Error::of_field(Reason::WrongState, "target.type", rule));
        }
        Ok(schedule)
    }
}

/// Checks that the sealed secrets suffice to log in: an SFTP server takes one of two.
fn check_login(kind: &str, sealed: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    if kind == "sftp" && sealed.is_none() {
        let rule = "is required, or target.private_key";
        return Err(Error::of_field(Reason::Required, "target.password", rule));
    }
    Ok(sealed)
}

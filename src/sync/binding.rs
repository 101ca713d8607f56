//! Which destinations may use which secret. A superuser says so with `cohort_secret_allow`; of a secret of which nobody
//! said anything, the first destination that uses it makes it that of its owner, kind and host.

use cohort_core::address;
use cohort_core::destination::{self, Destination};
use pgrx::pg_sys::panic::ErrorReport;

use super::store::{self, Place};
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::spi::{self, Snapshot};
use crate::wire::{self, secret};

/// What is to use a secret.
pub(crate) struct Use<'a> {
    pub(crate) secret: &'a str,
    /// The role that owns the destination.
    pub(crate) owner: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) destination: &'a dyn Destination,
}

/// What was said of a secret.
struct Binding {
    roles: Vec<String>,
    kinds: Vec<String>,
    hosts: Vec<String>,
    /// Whether the owner is one of the roles, or a member of one.
    is_theirs: bool,
}

impl Use<'_> {
    /// Refuses a use that is not allowed.
    pub(crate) fn check(&self) -> Fallible<()> {
        with_owners_rights(|| match self.find()? {
            Some(binding) => self.check_by(&binding),
            None => Ok(()),
        })
    }

    /// The same; where nothing was said of the secret, this use is what counts from here on.
    pub(crate) fn claim(&self) -> Fallible<()> {
        with_owners_rights(|| {
            if let Some(binding) = self.find()? {
                return self.check_by(&binding);
            }
            let kinds = destination::family(self.kind).map_err(|bad| store::bad_config(&bad))?;
            let kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
            // A host that gets the secret itself is the only one from here on.
            let hosts = if self.fits_anyones() {
                Vec::new()
            } else {
                let (host, port) = self.host();
                vec![format!("{host}:{port}")]
            };
            spi::touch(
                "INSERT INTO kursaha_cohort.secret_binding AS b (secret, roles, kinds, hosts, first_use) \
                 SELECT $1, ARRAY[kursaha_cohort.owner_of(o.oid)], $3, $4, true FROM pg_catalog.pg_roles o WHERE o.rolname = $2 \
                 ON CONFLICT (secret) DO UPDATE SET roles = EXCLUDED.roles, kinds = EXCLUDED.kinds, hosts = EXCLUDED.hosts, set_at = EXCLUDED.set_at \
                 WHERE b.first_use AND NOT EXISTS ( \
                     SELECT FROM unnest(b.roles) t JOIN pg_catalog.pg_roles r ON r.oid = kursaha_cohort.owner_role(t))",
                &[self.secret.into(), self.owner.into(), kinds.into(), hosts.into()],
            )?;
            // Another one may have been first.
            self.find()?.map_or(Ok(()), |binding| self.check_by(&binding))
        })
    }

    /// What was said of the secret; nothing, where it was used first by a role that is not there any more.
    fn find(&self) -> Fallible<Option<Binding>> {
        spi::first(
            Snapshot::Fresh,
            "SELECT t.names, b.kinds, b.hosts, EXISTS (SELECT FROM pg_catalog.pg_roles o, unnest(t.known) r \
                 WHERE o.rolname = $2 AND pg_catalog.pg_has_role(o.oid, r, 'USAGE')) \
             FROM kursaha_cohort.secret_binding b CROSS JOIN LATERAL (SELECT ARRAY(SELECT r::text FROM unnest(b.roles) r) AS names, \
                 ARRAY(SELECT r.oid FROM unnest(b.roles) t JOIN pg_catalog.pg_roles r ON r.oid = kursaha_cohort.owner_role(t)) AS known) t \
             WHERE b.secret = $1 AND (NOT b.first_use OR t.known <> '{}')",
            &[self.secret.into(), self.owner.into()],
            |row| {
                Ok(Binding { roles: row.need(1)?, kinds: row.need(2)?, hosts: row.need(3)?, is_theirs: row.need(4)? })
            },
        )
    }

    fn check_by(&self, binding: &Binding) -> Fallible<()> {
        let (host, port) = self.host();
        let fits_host = if binding.hosts.is_empty() {
            self.fits_anyones()
        } else {
            // A list that cannot be read allows nothing.
            address::hosts(&binding.hosts.join(",")).is_ok_and(|list| address::allowed(&host, port, &list))
        };
        if binding.is_theirs && binding.kinds.iter().any(|kind| kind == self.kind) && fits_host {
            return Ok(());
        }
        let list = |names: &[String], none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
        Err(self.refused(
            &format!(
                "It is bound to the roles: {}; kinds: {}; hosts: {}.",
                list(&binding.roles, "none"),
                list(&binding.kinds, "none"),
                list(
                    &binding.hosts,
                    "the API hosts of the kinds, and any allowed host to which only a signature is sent"
                )
            ),
            binding,
        ))
    }

    /// Whether the host may get what a secret without a list of hosts gives.
    fn fits_anyones(&self) -> bool {
        let (host, port) = self.host();
        !self.destination.reveals_secret() || address::allowed(&host, port, &[])
    }

    fn host(&self) -> (String, u16) {
        self.destination.url().and_then(|url| wire::host_and_port(&url)).unwrap_or_default()
    }

    fn refused(&self, detail: &str, binding: &Binding) -> ErrorReport {
        let (host, port) = self.host();
        let with = |names: &[String], more: &str| {
            let mut names = names.to_vec();
            if !names.iter().any(|name| name == more) {
                names.push(more.to_owned());
            }
            let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
            format!("ARRAY[{}]", quoted.join(", "))
        };
        let hosts = if binding.hosts.is_empty() && self.fits_anyones() {
            String::new()
        } else {
            format!(", {}", with(&binding.hosts, &format!("{host}:{port}")))
        };
        failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!(
                "the secret \"{}\" is not for a destination of kind \"{}\" at {host}:{port} that \"{}\" owns",
                self.secret, self.kind, self.owner
            ),
        )
        .set_detail(detail.to_owned())
        .set_hint(format!(
            "To allow it, run as a superuser: SELECT cohort_secret_allow('{}', {}, {}{hosts});",
            self.secret,
            with(&binding.roles, self.owner),
            with(&binding.kinds, self.kind),
        ))
    }
}

/// The secret of a destination, if it needs one and may use it. `claims`: see [`Use::claim`].
pub(crate) fn secret_of(place: &Place, destination: &dyn Destination, claims: bool) -> Fallible<String> {
    let Some(reference) = &place.secret else { return Ok(String::new()) };
    let use_of = Use { secret: reference, owner: &place.owner, kind: &place.kind, destination };
    use_of.check()?;
    let content = secret::read(reference)?;
    destination.check_secret(&content).map_err(|wrong| {
        invalid(format!("the secret \"{reference}\" {wrong}")).set_hint("Correct its content, or name another secret.")
    })?;
    if claims {
        use_of.claim()?;
    }
    Ok(content)
}

/// Says who may use a secret, for which kinds and at which hosts, in place of what was said before.
pub(crate) fn allow(secret: &str, roles: &[String], kinds: &[String], hosts: &[String]) -> Fallible<()> {
    secret::check(secret)?;
    for role in roles {
        let known = spi::one(
            Snapshot::Fresh,
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $1)",
            &[role.as_str().into()],
            |row| row.need::<bool>(1),
        )?;
        if !known {
            return Err(failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("role \"{role}\" does not exist"))
                .set_hint("Pass the roles that own the destinations."));
        }
    }
    for kind in kinds {
        destination::family(kind).map_err(|bad| store::bad_config(&bad))?;
    }
    if let Err(entry) = address::hosts(&hosts.join(",")) {
        return Err(invalid(format!("\"{entry}\" is not a valid host"))
            .set_hint("A name, *.name, *, or an address, as in kursaha_cohort.allowed_hosts; a :port may follow."));
    }
    with_owners_rights(|| {
        spi::touch(
            "INSERT INTO kursaha_cohort.secret_binding (secret, roles, kinds, hosts, first_use) VALUES ($1, ARRAY(SELECT kursaha_cohort.owner_of(r.oid) FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($2)), $3, $4, false) \
             ON CONFLICT (secret) DO UPDATE SET roles = EXCLUDED.roles, kinds = EXCLUDED.kinds, hosts = EXCLUDED.hosts, \
                 first_use = false, set_at = EXCLUDED.set_at",
            &[secret.into(), roles.to_vec().into(), kinds.to_vec().into(), hosts.to_vec().into()],
        )
    })?;
    Ok(())
}

//! Where an export's plugin comes from: what the configuration says, who must have signed it, and the
//! limits of loading it. Asked once more, it may lead to another version.

use std::path::{Path, PathBuf};

use crate::blocking::blocking;
use crate::config::{Authorization, Mistake, PluginSource, Tenant};
use crate::plugin::limits::KEYS;
use crate::plugin::{ComponentFile, Engine, Limits, LoadLimits, Plugin};
use crate::registry::{Registry, RegistryError, SigningKey};

/// Loads versions of a plugin for the exports that run it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supply {
    source: PluginSource,
    registry: Registry,
    signed_by: Vec<SigningKey>,
    /// Where these keys stand, for messages.
    by: String,
    limits: Limits,
    load: LoadLimits,
}

impl Supply {
    /// What an authorization gives to an export that runs this source.
    pub(super) fn new(authorization: &Authorization, source: &PluginSource, data: &Path) -> Self {
        let mut limits = Limits::default();
        authorization.limits.apply(&mut limits, &KEYS);
        Self {
            source: source.clone(),
            registry: Registry::at(data),
            signed_by: authorization.signed_by.clone(),
            by: format!("`signed_by` of [authorizations.{}]", authorization.id),
            limits,
            load: authorization.load_limits,
        }
    }

    /// What the configuration says.
    pub fn source(&self) -> &PluginSource {
        &self.source
    }

    /// The registry that versions are kept in.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether another one leads to the same under the same rules.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.source, &self.signed_by) == (&other.source, &other.signed_by)
            && (self.limits, self.load) == (other.limits, other.load)
    }

    /// The file that this leads to right now. Blocking.
    ///
    /// # Errors
    /// No such version is kept.
    pub fn path(&self) -> Result<PathBuf, RegistryError> {
        Ok(self.registry.resolve(&self.source)?.path)
    }

    /// Loads the version that the configuration leads to right now.
    ///
    /// # Errors
    /// It is not there, not signed as it must be, or no plugin of this host.
    pub async fn load(&self, engine: &Engine) -> Result<Plugin, RegistryError> {
        let supply = self.clone();
        let (resolved, file) = blocking(move || {
            let resolved = supply.registry.resolve(&supply.source)?;
            let file = supply.registry.open(&resolved, &supply.load)?;
            Ok::<_, RegistryError>((resolved, file))
        })
        .await?;
        let plugin = self.loaded(engine, move || Ok(file)).await?;
        if let Some(entry) = resolved.entry {
            self.registry.compare(&entry, &plugin.manifest)?;
        }
        Ok(plugin)
    }

    /// Loads a file in the place of what the configuration says, under the same rules.
    ///
    /// # Errors
    /// It cannot be read, is not signed as it must be, or no plugin of this host.
    pub async fn load_file(&self, engine: &Engine, path: &Path) -> Result<Plugin, RegistryError> {
        let (path, load) = (path.to_owned(), self.load);
        let read = move || Ok(ComponentFile::read(&path, &load)?);
        self.loaded(engine, read).await
    }

    /// Loads a component that is kept, also one without a name, under the same rules.
    ///
    /// # Errors
    /// It is not there, not what was kept, not signed as it must be, or no plugin of this host.
    pub async fn load_kept(&self, engine: &Engine, sha256: &str) -> Result<Plugin, RegistryError> {
        let (registry, load) = (self.registry.clone(), self.load);
        let sha256 = sha256.to_owned();
        let read = move || registry.open_kept(&sha256, &load);
        self.loaded(engine, read).await
    }

    /// Keeps a component that was loaded, so that it can be loaded once more after its file was
    /// replaced. Blocking.
    ///
    /// # Errors
    /// The disk's, or its file is another one by now.
    pub fn keep(&self, plugin: &Plugin) -> Result<(), RegistryError> {
        let seen = &plugin.inspection;
        let kept = self.registry.keeps(&seen.sha256);
        // One that is kept may have been signed since; for the rest it needs its file no more.
        let file = match ComponentFile::read(&seen.path, &self.load) {
            Err(_) if kept => return Ok(()),
            file => file?,
        };
        match file.sha256() == seen.sha256 {
            true => self.registry.keep_file(&file).map(drop),
            false if kept => Ok(()),
            false => Err(RegistryError::Altered {
                path: seen.path.clone(),
                found: file.sha256().to_owned(),
            }),
        }
    }

    /// Reads once; judges, compiles and runs that.
    async fn loaded(
        &self,
        engine: &Engine,
        read: impl FnOnce() -> Result<ComponentFile, RegistryError> + Send + 'static,
    ) -> Result<Plugin, RegistryError> {
        let (keys, by) = (self.signed_by.clone(), self.by.clone());
        let file = blocking(move || {
            let file = read()?;
            file.judge(&keys, &by)?;
            Ok::<_, RegistryError>(file)
        });
        let file = file.await?;
        Ok(engine.load_read(&file, &self.limits, &self.load).await?)
    }
}

/// Why nothing was loaded, at the operator's line.
pub(super) fn mistake(
    tenant: &Tenant,
    spans: &crate::config::PluginSpans,
    source: &PluginSource,
    error: &RegistryError,
) -> Mistake {
    let span = match error {
        RegistryError::NoPlugin { .. } => &spans.name,
        _ => &spans.which,
    };
    let mistake = Mistake::new(&tenant.source, span.clone(), error.to_string());
    match (error.help(), source) {
        (Some(help), _) => mistake.help(help),
        (None, PluginSource::File(path)) if !path.exists() => {
            mistake.help("the path begins at the folder of this file")
        }
        (None, _) => mistake,
    }
}

//! The runs of an experiment: their configurations, their folders, and what they share.

use std::path::{Path, PathBuf};

use color_eyre::eyre::{Result, WrapErr, eyre};

use super::super::launch;
use crate::analysis::experiment::design::{Arm, Design};
use crate::config::{self, Config, Flag, Paths, Sources};
use crate::gym::instance::Split;
use crate::gym::ports::Ledger;
use crate::runner::residence::live_of;
use crate::store::{DATABASE, Reader, Store};

/// One run of the grid.
#[derive(Debug)]
pub(super) struct Cell {
    /// Place of its arm.
    pub(super) arm: usize,
    /// Its seed.
    pub(super) seed: u32,
    /// Name of its run.
    pub(super) name: String,
    config: Config,
}

/// All runs of an experiment, seed by seed, so that what is finished can be compared at any time.
#[derive(Debug)]
pub(super) struct Grid {
    paths: Paths,
    output: PathBuf,
    cells: Vec<Cell>,
    arms: usize,
    seeds: Vec<u32>,
}

impl Grid {
    /// The grid of a design below `folder`. Every configuration is resolved, none of a user's own settings and
    /// prompts counts: the file alone says what is run.
    pub(super) fn new(paths: &Paths, design: &Design, folder: &Path) -> Result<Self> {
        let seeds = design.seeds().map_err(|message| eyre!(message))?;
        let (runs, prompts) = (folder.join("runs"), folder.join("prompts"));
        let paths = Paths { runs, prompts, ..paths.clone() };
        let arms = design.arms();
        let mut cells = Vec::new();
        for seed in &seeds {
            for (n, arm) in arms.iter().enumerate() {
                let name = format!("{}-s{seed}", arm.name.replace('+', "."));
                let config = resolved(design, arm, *seed, &name)
                    .wrap_err_with(|| format!("arm `{}` of experiment `{}`", arm.name, design.name))?;
                cells.push(Cell { arm: n, seed: *seed, name, config });
            }
        }
        Ok(Self { output: folder.join("output"), paths, cells, arms: arms.len(), seeds })
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub(super) fn arms(&self) -> usize {
        self.arms
    }

    pub(super) fn seeds(&self) -> &[u32] {
        &self.seeds
    }

    /// The folder of the runs.
    pub(super) fn runs(&self) -> &Path {
        &self.paths.runs
    }

    /// What the process of a run prints.
    pub(super) fn output(&self, name: &str) -> PathBuf {
        self.output.join(format!("{name}.log"))
    }

    /// Whether every phase of a run is done.
    pub(super) fn is_finished(&self, name: &str) -> bool {
        let folder = live_of(&self.paths.run(name));
        Reader::open(&folder).and_then(|reader| reader.episode()).is_ok_and(|episode| episode.finished())
    }

    /// Makes the folder of a run unless it is there, and gives it the untrained student's answers where
    /// another run of the grid has them already.
    pub(super) fn prepare(&self, cell: &Cell) -> Result<()> {
        let folder = self.paths.run(&cell.name);
        if folder.join(DATABASE).exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.output)
            .wrap_err_with(|| format!("cannot create {}", self.output.display()))?;
        launch::create(&self.paths, &cell.config)?;
        self.share(cell, &folder)
    }

    /// The untrained student answers greedily: what it answered in one run it answers in every other.
    /// Scripted students draw from the run's seed and share nothing.
    fn share(&self, cell: &Cell, folder: &Path) -> Result<()> {
        let same = |other: &&Cell| {
            other.name != cell.name
                && other.config.task == cell.config.task
                && other.config.skills == cell.config.skills
                && other.config.student == cell.config.student
                && cell.config.student.model != "scripted"
                && self.is_finished(&other.name)
        };
        let Some(other) = self.cells.iter().find(same) else { return Ok(()) };
        let reader = Reader::open(&live_of(&self.paths.run(&other.name)))?;
        let mut store = Store::open(&live_of(folder))?;
        for split in [Split::Validation, Split::Test] {
            let mut answers = Vec::new();
            reader.each_prediction(0, split, |prediction| answers.push(prediction))?;
            store.put_predictions(0, split, &answers)?;
        }
        Ok(())
    }
}

fn resolved(design: &Design, arm: &Arm, seed: u32, name: &str) -> Result<Config> {
    let flag = |flag, key, value| Flag { flag, key, value };
    let sources = Sources {
        config: Some(design.base.clone()),
        arm: Some((format!("arm `{}`", arm.name), arm.set.clone())),
        flags: vec![
            flag("the experiment", "name", toml::Value::String(name.to_owned())),
            flag("the experiment", "seed", toml::Value::Integer(seed.into())),
        ],
        ..Sources::default()
    };
    Ok(config::resolve(&sources)?.config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The experiments that come with the program are sound in every arm.
    #[test]
    fn every_ready_experiment_resolves() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths {
            runs: home.path().join("runs"),
            cache: home.path().join("cache"),
            user_config: home.path().join("config.toml"),
            home: home.path().to_owned(),
            prompts: home.path().join("prompts"),
            screen: home.path().join("screen"),
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/experiments");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
        assert!(!files.is_empty());
        for file in files {
            let design = Design::parse(&std::fs::read_to_string(&file).unwrap(), &file).unwrap();
            let grid = Grid::new(&paths, &design, home.path()).unwrap();
            assert_eq!(grid.cells().len(), grid.arms() * grid.seeds().len());
            assert_eq!(Some(design.name.as_str()), file.file_stem().and_then(|stem| stem.to_str()));
        }
    }
}

//! The whole circle on real models: the embedded student behind mistral.rs, our trainer.

use dataenvgym::gym::episode::Halt;

use crate::home::{Home, episode, outcome};

fn config(home: &Home, training: &str) -> String {
    let path = home.path("real.toml");
    let text = format!(
        "name = \"real\"\n[task]\nkind = \"arithmetic\"\nvalidation_per_skill = 2\ntest_per_skill = 2\n\
         [student]\nworkers = 2\nmax_tokens = 96\n[trainer]\n{training}\nepochs = 1\nbatch_size = 32\nmax_length = 128\n\
         [policy]\nkind = \"by_error\"\ndata = 40\n[episode]\niterations = 2\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_circle_turns_on_real_models_and_nothing_is_printed_by_the_workers() {
    let home = Home::new();
    for (name, training) in [
        ("full", "method = \"full\"\nupdate = \"continue\"\nlearning_rate = 5e-4"),
        ("adapter", "method = \"lora\"\nupdate = \"continue\"\nlearning_rate = 2e-3"),
        ("again", "method = \"lora\"\nupdate = \"retrain\"\nlearning_rate = 2e-3"),
    ] {
        let config = config(&home, training);
        let out = home.stdout(&["run", "--headless", "--config", &config, "--name", name]);
        assert!(out.contains("selected by validation: iteration"), "{out}");
        let folder = home.run_folder(name);
        let finished = episode(&folder).unwrap();
        assert_eq!(finished.halt, Some(Halt::Finished));
        let untrained = finished.iterations[0].validation.as_ref().unwrap();
        // The student that is shipped knows the strong half of the skills.
        assert!((0.4..0.9).contains(&untrained.overall.mean), "{untrained:?}");
        assert_ne!(
            outcome(&folder).predictions[0],
            outcome(&folder).predictions[2],
            "{name}: training changed nothing"
        );
        let checkpoint = folder.join("checkpoints/iteration-001");
        assert_eq!(checkpoint.join("adapter_config.json").exists(), name != "full");
        for log in std::fs::read_dir(folder.join("logs")).unwrap().flatten() {
            let file = log.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(log.path()).unwrap();
            assert!(file == "runner.log" || text.is_empty(), "{file}: {text}");
        }
    }
}

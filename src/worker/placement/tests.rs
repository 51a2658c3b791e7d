//! Plans on machines that are written down.

use super::*;
use crate::gym::ports::{Precision, Quantisation, TrainingMethod};

const GIB: u64 = 1 << 30;

/// The shape of Qwen2.5-7B-Instruct in bf16.
fn seven_billion() -> ModelSize {
    ModelSize {
        parameters: 7_615_616_512,
        stored_bytes: 15_231_233_024,
        layers: 28,
        hidden: 3584,
        intermediate: 18944,
        kv_width: 512,
        heads: 28,
        capped: false,
        vocabulary: 152_064,
        context: 32768,
        half: true,
    }
}

fn room(device: Device, free: u64) -> Room {
    Room { device, name: "a machine".to_owned(), free: Some(free), total: Some(free) }
}

fn student(devices: &[Device], serving: Serving) -> Charge {
    Charge {
        role: "student",
        size: seven_billion(),
        quantised: false,
        devices: devices.to_vec(),
        work: Work::Serve(serving),
        stays: false,
        merging: None,
    }
}

fn trainer(device: Device, settings: TrainingSettings) -> Charge {
    Charge {
        role: "trainer",
        devices: vec![device],
        work: Work::Train(settings),
        ..student(&[device], Serving::default())
    }
}

fn part(share: &Share, part: Part) -> u64 {
    share.parts.iter().find(|(known, _)| *known == part).unwrap().1
}

#[test]
fn the_parts_follow_from_the_shapes() {
    let serving = Serving { in_flight: 16, ..Serving::default() };
    let plan = plan(&[student(&[Device::Cuda(0)], serving)], &[room(Device::Cuda(0), 80 * GIB)]).unwrap();
    let share = &plan.devices[0].shares[0];
    assert_eq!(part(share, Part::Weights), 2 * 7_615_616_512);
    // 4,096 tokens of 28 blocks with keys and values of 512 numbers of 2 bytes, for 16 requests; two pages and a mebibyte.
    let token = 28 * 2 * 512 * 2;
    assert_eq!(part(share, Part::Cache), (16 * 4096 + 64 + (1_u64 << 20).div_ceil(token)) * token);
    // Elsewhere requests in a batch are copied when it changes.
    let host = serving_parts(&seven_billion(), false, serving, Device::Cpu);
    assert_eq!(host[1].1, 2 * 16 * 4096 * 2 * token);
    let quantised = Serving { quantisation: Quantisation::Q4k, ..Serving::default() };
    let small =
        self::plan(&[student(&[Device::Cuda(0)], quantised)], &[room(Device::Cuda(0), 80 * GIB)]).unwrap();
    let (packed, embedding) = (part(&small.devices[0].shares[0], Part::Weights), 152_064 * 3584 * 2);
    assert!(packed < 2 * 7_615_616_512 / 3 && packed > embedding, "{packed}");
    let single = Serving { precision: Precision::F32, ..Serving::default() };
    let wide =
        self::plan(&[student(&[Device::Cuda(0)], single)], &[room(Device::Cuda(0), 80 * GIB)]).unwrap();
    assert_eq!(part(&wide.devices[0].shares[0], Part::Weights), 4 * 7_615_616_512);
    // A context beyond the model's own costs nothing.
    let long = |context| Serving { context, ..Serving::default() };
    let cache = |serving| serving_parts(&seven_billion(), false, serving, Device::Cpu)[1].1;
    assert_eq!(cache(long(32768)), cache(long(1_000_000)));
    assert_eq!(cache(long(1)), cache(long(512)));
}

#[test]
fn an_adapter_s_training_on_the_processor_keeps_the_adapted_matrices_twice() {
    let lora = TrainingSettings { micro_tokens: 65536, ..TrainingSettings::default() };
    let parts = |settings, device| training_parts(&seven_billion(), settings, device);
    let (host, card) = (parts(&lora, Device::Cpu), parts(&lora, Device::Cuda(0)));
    let moved = host[1].1 / 12;
    let embedding = 152_064 * 3584;
    assert_eq!(host[0].1, 4 * (2 * 7_615_616_512 - embedding + moved));
    assert_eq!(card[0].1, 2 * 7_615_616_512 + 4 * moved);
    // A slab at a time, however long a micro-batch is.
    let narrow = TrainingSettings { micro_tokens: 1024, ..lora.clone() };
    assert_eq!(parts(&narrow, Device::Cpu), host);
    assert!(parts(&narrow, Device::Cuda(0))[2].1 < card[2].1 / 16);
}

#[test]
fn a_composed_pass_keeps_numbers_for_every_pair_of_tokens_in_a_row() {
    let settings = |max_length, checkpointing| TrainingSettings {
        micro_tokens: 4096,
        max_length,
        checkpointing,
        ..TrainingSettings::default()
    };
    let needed = |size: &ModelSize, max_length, checkpointing, device| {
        training_parts(size, &settings(max_length, checkpointing), device)[2].1
    };
    let (size, card) = (seven_billion(), Device::Cuda(0));
    // 28 heads, 4,096 tokens in rows of 1,024 more: six tensors of a block are kept, five pass.
    let more =
        |checkpointing| needed(&size, 2048, checkpointing, card) - needed(&size, 1024, checkpointing, card);
    let pairs = 4 * 28 * 4096 * 1024;
    assert_eq!((more(true), more(false)), ((6 + 5) * pairs, (28 * 6 + 5) * pairs));
    let capped = ModelSize { capped: true, ..size };
    assert_eq!(needed(&capped, 1024, true, card), needed(&size, 1024, true, card) + 3 * pairs);
    // The fused pass of the processor keeps none of them.
    assert_eq!(needed(&capped, 1024, true, Device::Cpu), needed(&size, 1024, true, Device::Cpu));
}

#[test]
fn a_trainer_on_gpus_has_base_moments_and_sums_on_the_host() {
    let lora = TrainingSettings { micro_tokens: 1024, checkpointing: true, ..TrainingSettings::default() };
    let both = [Device::Cuda(0), Device::Cuda(1)];
    let rooms = |host| [room(Device::Cpu, host), room(both[0], 80 * GIB), room(both[1], 80 * GIB)];
    let moved = 40_370_176;
    let on = |devices: &[Device], host| {
        plan(&[Charge { devices: devices.to_vec(), ..trainer(devices[0], lora.clone()) }], &rooms(host))
    };
    let one = on(&both[..1], 64 * GIB).unwrap();
    let (card, host) = (&one.devices[0].shares[0], &one.devices[1].shares[0]);
    assert_eq!(part(card, Part::Optimiser), 4 * moved, "gradients pass through, moments are elsewhere");
    assert_eq!((one.devices[1].room.device, host.processes), (Device::Cpu, 1));
    assert_eq!(part(host, Part::Weights), 4 * (7_615_616_512 + moved));
    assert_eq!(part(host, Part::Optimiser), (8 + 4) * moved);
    let two = on(&both, 64 * GIB).unwrap();
    assert_eq!(two.devices.len(), 3);
    let host = &two.devices[2].shares[0];
    assert_eq!((host.processes, part(host, Part::Optimiser)), (1, (8 + 2 * 4) * moved));
    let tight = on(&both[..1], 16 * GIB).unwrap_err().to_string();
    assert!(tight.starts_with("cpu (a machine)") && tight.contains("trainer: weights 28.5 GiB"), "{tight}");
    // On the processor it is all in the parts of that device.
    assert_eq!(on(&[Device::Cpu], 256 * GIB).unwrap().devices.len(), 1);
}

#[test]
fn an_accelerator_computes_in_what_the_model_says_it_is_stored_in() {
    let single = ModelSize { half: false, ..seven_billion() };
    let weights = |size: &ModelSize, device| serving_parts(size, false, Serving::default(), device)[0].1;
    assert_eq!(weights(&single, Device::Cuda(0)), 4 * 7_615_616_512, "whatever the bytes in the files are");
    assert_eq!(weights(&seven_billion(), Device::Cuda(0)), 2 * 7_615_616_512);
    assert_eq!(weights(&seven_billion(), Device::Cpu), 4 * 7_615_616_512);
}

#[test]
fn student_and_trainer_take_turns_unless_the_student_stays() {
    let lora = TrainingSettings { micro_tokens: 1024, checkpointing: true, ..TrainingSettings::default() };
    let mut charges = vec![student(&[Device::Cuda(0)], Serving::default()), trainer(Device::Cuda(0), lora)];
    let apart = plan(&charges, &[room(Device::Cuda(0), 60 * GIB)]).unwrap();
    let shares: Vec<u64> = apart.devices[0].shares.iter().map(Share::bytes).collect();
    assert_eq!(apart.devices[0].peak(), shares[0].max(shares[1]));
    charges[0].stays = true;
    let together = plan(&charges, &[room(Device::Cuda(0), 60 * GIB)]).unwrap();
    assert_eq!(together.devices[0].peak(), shares[0] + shares[1]);
    let free = shares[0] + shares[1] - 1;
    let error = plan(&charges, &[room(Device::Cuda(0), free)]).unwrap_err().to_string();
    assert!(error.contains("keep_while_training = false") && error.contains("cuda:0"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would_help() {
    let refused = |charge: Charge, free: u64| {
        let room = room(charge.devices[0], free);
        plan(&[charge], &[room]).unwrap_err().to_string()
    };
    let heavy = refused(student(&[Device::Cuda(0)], Serving::default()), 8 * GIB);
    assert!(heavy.contains("student: weights 14.2 GiB") && heavy.contains("student.quantisation"), "{heavy}");
    assert!(heavy.contains("8.0 GiB are free") && heavy.contains("student.device"), "{heavy}");
    let many = refused(student(&[Device::Cpu; 4], Serving::default()), 64 * GIB);
    assert!(many.contains("student x 4") && many.contains("Lower `student.workers`"), "{many}");
    let cache = Serving { in_flight: 64, context: 16384, ..Serving::default() };
    let cache = refused(student(&[Device::Cuda(0)], cache), 40 * GIB);
    assert!(cache.contains("student.context") && cache.contains("student.in_flight"), "{cache}");
    let full =
        TrainingSettings { method: TrainingMethod::Full, micro_tokens: 1024, ..TrainingSettings::default() };
    let full = refused(trainer(Device::Cpu, full), 64 * GIB);
    assert!(full.contains("trainer.method = \"lora\""), "{full}");
    let lora = TrainingSettings { micro_tokens: 65536, ..TrainingSettings::default() };
    let lora = refused(trainer(Device::Cuda(0), lora), 64 * GIB);
    assert!(lora.contains("trainer.checkpointing = true"), "{lora}");
}

#[test]
fn a_device_that_is_not_there_is_named_with_what_is() {
    let charge = student(&[Device::Cuda(3)], Serving::default());
    let error =
        plan(&[charge], &[room(Device::Cpu, GIB), room(Device::Cuda(0), GIB)]).unwrap_err().to_string();
    for text in ["student.device", "cuda:3", "cuda:0 (a machine)", "CUDA_VISIBLE_DEVICES"] {
        assert!(error.contains(text), "{error}");
    }
    let nothing =
        plan(&[student(&[Device::Metal], Serving::default())], &[room(Device::Cpu, GIB)]).unwrap_err();
    assert!(!nothing.to_string().contains("CUDA_VISIBLE_DEVICES"), "{nothing}");
}

#[test]
fn unknown_free_memory_holds_everything_and_says_so() {
    let room = Room { free: None, total: None, ..room(Device::Cuda(0), 0) };
    let plan = plan(&[student(&[Device::Cuda(0)], Serving::default())], &[room]).unwrap();
    assert!(lines(&plan)[0].contains("free memory unknown"), "{:?}", lines(&plan));
}

#[test]
fn several_devices_hold_a_process_each() {
    let both = [Device::Cuda(0), Device::Cuda(1)];
    let rooms = both.map(|device| room(device, 20 * GIB));
    let plan = plan(&[student(&both, Serving::default())], &rooms).unwrap();
    assert_eq!(plan.devices.len(), 2);
    assert!(plan.devices.iter().all(|placed| placed.shares[0].processes == 1));
    assert_eq!(plan.devices[0].peak(), plan.devices[1].peak());
    let said = lines(&plan);
    assert!(
        said[1].starts_with("cuda:1 (a machine): 15.3 GiB") && said[1].contains("of 20.0 GiB free"),
        "{said:?}"
    );
}

#[test]
fn merged_adapters_take_memory_of_the_host_and_room_for_temporary_files() {
    let rooms = [room(Device::Cpu, 64 * GIB), room(Device::Cuda(0), 40 * GIB)];
    let merging = |in_memory| Some(Merging { rank: 16, in_memory });
    let card = |in_memory| Charge {
        merging: merging(in_memory),
        ..student(&[Device::Cuda(0), Device::Cuda(0)], Serving::default())
    };
    let placed = plan(&[card(false)], &rooms).unwrap();
    let host = &placed.devices[1];
    assert_eq!((host.room.device, host.shares[0].processes), (Device::Cpu, 2));
    // The embedding as stored and as numbers, and an adapter of 40 million numbers twice; nothing of the rest.
    let each = 8 * 152_064 * 3584 + 8 * 40_370_176;
    assert_eq!(host.shares[0].parts, [(Part::Merging, 2 * each)]);
    let in_memory = plan(&[card(true)], &rooms).unwrap();
    assert_eq!(in_memory.devices[1].peak(), 2 * (each + 2 * 7_615_616_512));

    // On the host itself it is a part of the same process.
    let serving = Serving { quantisation: Quantisation::Q8_0, ..Serving::default() };
    let packed = Charge { merging: merging(false), ..student(&[Device::Cpu], serving) };
    let placed = plan(std::slice::from_ref(&packed), &rooms).unwrap();
    let share = &placed.devices[0].shares[0];
    assert_eq!((placed.devices.len(), share.processes, part(share, Part::Merging)), (1, 1, each));
    let tight = plan(&[card(false)], &[room(Device::Cpu, 8 * GIB), room(Device::Cuda(0), 40 * GIB)]);
    let tight = tight.unwrap_err().to_string();
    assert!(tight.contains("merging of adapters") && tight.contains("Lower `student.workers`"), "{tight}");

    let folder = Path::new("/x/tmp");
    let disk = scratch(&[card(false)], folder, Some(40 * GIB)).unwrap().unwrap();
    assert_eq!(disk.needed, 4 * 7_615_616_512, "two models in 16 bits");
    assert_eq!(scratch(&[packed], folder, None).unwrap().unwrap().needed, 4 * 7_615_616_512, "one in 32");
    assert_eq!(scratch(&[student(&[Device::Cpu], Serving::default())], folder, Some(0)).unwrap(), None);
    let short = scratch(&[card(false)], folder, Some(20 * GIB)).unwrap_err().to_string();
    assert!(
        short.starts_with("/x/tmp: ") && short.contains("28.4 GiB") && short.contains("TMPDIR"),
        "{short}"
    );
    let said = lines(&Plan { scratch: Some(disk), ..Plan::default() });
    assert_eq!(said, ["/x/tmp: 28.4 GiB at most of 40.0 GiB free; merged models of the student"]);
}

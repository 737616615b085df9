// Runs the playground's engine under Node for the tests: reads requests from standard input, and prints their results.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const [{ ACTIVATIONS, OPERATIONS, WITHOUT_LAYERS }, { LOSSES }, { Trainer, WITHOUT_LOSSES, WITHOUT_OPTIMIZERS }] =
    await Promise.all(["engine_layers.js", "engine_losses.js", "engine.js"].map((name) => import(new URL(name, folder))));
const { OPTIMIZERS } = await import(new URL("engine_formulas.js", folder));
const { INITIALIZERS, SUITED, WITHOUT_INITIALIZERS } = await import(new URL("engine_initializers.js", folder));
const { SCHEDULES, WITHOUT_SCHEDULES, schedule } = await import(new URL("engine_schedules.js", folder));
const { Generator } = await import(new URL("engine_random.js", folder));

const names = (present, refused) => [Object.keys(present), refused];
const answers = {
    tables: () => ({
        layer: names(OPERATIONS, WITHOUT_LAYERS),
        activation: names(ACTIVATIONS, {}),
        loss: names(LOSSES, WITHOUT_LOSSES),
        optimizer: names(OPTIMIZERS, WITHOUT_OPTIMIZERS),
        initializer: names(INITIALIZERS, WITHOUT_INITIALIZERS),
        schedule: names(SCHEDULES, WITHOUT_SCHEDULES),
        suited: SUITED,
    }),
    draws: ({ seed, purpose, index, n }) => {
        const begin = () => new Generator(seed, purpose, ...index);
        const drawn = (method, ...given) => {
            const rng = begin();
            return Array.from({ length: n }, () => rng[method](...given));
        };
        return {
            random: drawn("double"),
            floats: drawn("float"),
            uniform: drawn("uniform", -0.3, 0.7),
            normal: drawn("normal", 0.5, 2),
            integers: drawn("integer", 999),
            permutation: Array.from(begin().permutation(n)),
        };
    },
    initial: (given) => Array.from(new Trainer(given).network.theta),
    factors: ({ plain, epochs }) => epochs.map(schedule(plain)),
    train: ({ steps, ...given }) => {
        const trainer = new Trainer(given);
        const losses = Array.from({ length: steps }, () => trainer.train());
        const { theta, state } = trainer.network;
        return { losses, theta: Array.from(theta), state: Array.from(state), stopped: trainer.stopped };
    },
    speed: ({ steps, ...given }) => {
        const trainer = new Trainer(given);
        for (let i = 0; i < steps; i++) trainer.train();
        const began = performance.now();
        for (let i = 0; i < steps; i++) trainer.train();
        return (1000 * steps) / (performance.now() - began);
    },
};

const found = JSON.parse(readFileSync(0, "utf-8")).map(([what, given]) => answers[what](given));
process.stdout.write(JSON.stringify(found));

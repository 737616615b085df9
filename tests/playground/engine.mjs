// Runs the playground's engine under Node for the tests: reads requests from standard input, and prints their results.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(name, folder));
const { ACTIVATIONS, OPERATIONS, WITHOUT_LAYERS } = await load("engine_layers.js");
const { LOSSES } = await load("engine_losses.js");
const { OPTIMIZERS, Trainer, WITHOUT_OPTIMIZERS } = await load("engine.js");
const { INITIALIZERS, SUITED, WITHOUT_INITIALIZERS } = await load("engine_initializers.js");
const { SCHEDULES, WITHOUT_SCHEDULES, schedule } = await load("engine_schedules.js");
const { Generator } = await load("engine_random.js");

const { compiled } = await load("local_formula.js");

const names = (present, refused) => [Object.keys(present), refused];
const answers = {
    tables: () => ({
        layer: names(OPERATIONS, WITHOUT_LAYERS),
        activation: names(ACTIVATIONS, {}),
        loss: names(LOSSES, {}),
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
    // the values of a formula at points, or the message with which it is refused
    formula: ({ text, x1, x2 }) => {
        try {
            const f = compiled(text);
            return x1.map((each, i) => f(each, x2[i]));
        } catch (error) {
            return error.message;
        }
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

/*
 * Training as fullyconnected.fit does it: the same rows in the same order, the same masks, the same updates, in float64.
 *
 * A Trainer is made of plain values, and its run is a function of them: whoever restores what `snapshot` gave goes on as
 * if nothing had been between. Nothing is allocated in a step.
 */
import { OPTIMIZERS } from "./engine_formulas.js";
import { LOSSES } from "./engine_losses.js";
import { Network, Workspace } from "./engine_network.js";
import { Generator, SHUFFLE, halvesOf } from "./engine_random.js";
import { schedule } from "./engine_schedules.js";

// What the browser does not have, and why.
export const WITHOUT_OPTIMIZERS = {
    lbfgs: "it is a solver for all rows at once, which the playground's steps are not",
    muon: "it works on whole matrices, and the networks of the browser are too small for it to matter",
};
export const WITHOUT_LOSSES = {};

// Return the number of batches that rows are cut into; a last one of fewer than ``least`` rows joins the one before.
export function batchesOf(rows, batchSize, least = 1) {
    return Math.max(1, Math.ceil((rows - least + 1) / batchSize));
}

export class Trainer {
    /*
     * x and t are flat, in rows: t has numbers, or class numbers for a loss of classes. loss and optimizer are
     * {loss: name, settings} and {optimizer: name, settings}, schedule {schedule: name, settings} or null.
     */
    constructor({
        layers, nIn, x, t, loss, optimizer, seed, batchSize,
        schedule: rates = null, shuffle = true, l2 = 0, maxGradNorm = null,
    }) {
        const network = (this.network = new Network(layers, nIn));
        this.rows = x.length / nIn;
        this.loss = LOSSES[loss.loss];
        if (this.loss === undefined) throw new Error(`the browser has no loss called ${loss.loss}`);
        this.lossSettings = withSettings(this.loss, loss);
        this.x = Float64Array.from(x);
        this.t = this.loss.classes ? Uint32Array.from(t) : Float64Array.from(t);
        this.width = this.t.length / this.rows; // of a row of targets
        this.rule = OPTIMIZERS[optimizer.optimizer];
        if (this.rule === undefined) throw new Error(`the browser has no optimizer called ${optimizer.optimizer}`);
        this.ruleSettings = withSettings(this.rule, optimizer);
        this.slots = Object.fromEntries(this.rule.slots.map((name) => [name, new Float64Array(network.theta.length)]));
        this.schedule = schedule(rates);
        Object.assign(this, { seed, batchSize: Math.min(batchSize, this.rows), shuffle, l2, maxGradNorm });
        const least = network.leastRows;
        if (this.rows < least || this.batchSize < least) {
            throw new Error(`batch normalisation needs ${least} rows or more in a batch; got ${this.batchSize}`);
        }
        this.steps = batchesOf(this.rows, this.batchSize, least); // of an epoch
        this.workspace = new Workspace(network, Math.min(this.batchSize + least - 1, this.rows), true);
        this.batchT = new this.t.constructor(this.workspace.rows * this.width);
        this.pieces = piecesOf(network.tensors, this.ruleSettings.weight_decay > 0);
        this.decaying = piecesOf(network.tensors, true);
        [this.seedHigh, this.seedLow] = halvesOf(seed);
        this.order = new Uint32Array(this.rows);
        this.shuffler = new Generator();
        this.before = new Float64Array(network.state.length);
        this.begin();
    }

    // Go to step 0.
    begin() {
        this.network.initialize(this.seed);
        for (const slot of Object.values(this.slots)) slot.fill(0);
        this.step = this.epoch = this.done = 0; // updates, complete epochs, and batches of this epoch
        this.stopped = null;
        this.ordered = -1; // the epoch of which `order` is
    }

    // The learning rate of the next step.
    get rate() {
        const { lr } = this.ruleSettings;
        return this.schedule === null ? lr : lr * this.schedule(this.epoch + this.done / this.steps);
    }

    // Copy the rows of the next batch into the workspace, and return their number.
    load() {
        const { order, rows, workspace, x, t, batchT, width } = this, { nIn } = this.network;
        if (this.ordered !== this.epoch) {
            if (this.shuffle) {
                this.shuffler.begin(this.seedHigh, this.seedLow, SHUFFLE, this.epoch);
                this.shuffler.permutation(rows, order);
            } else {
                for (let i = 0; i < rows; i++) order[i] = i;
            }
            this.ordered = this.epoch;
        }
        const start = (this.start = this.done * this.batchSize);
        const n = (this.count = (this.done + 1 === this.steps ? rows : start + this.batchSize) - start);
        for (let r = 0; r < n; r++) {
            const row = order[start + r];
            for (let i = 0; i < nIn; i++) workspace.x[r * nIn + i] = x[row * nIn + i];
            for (let i = 0; i < width; i++) batchT[r * width + i] = t[row * width + i];
        }
        return n;
    }

    // The numbers of the rows of the batch that was loaded last.
    get batch() {
        return this.order.slice(this.start, this.start + this.count);
    }

    // Run the next batch forward, and return its loss without l2; the gradient of the outputs is then in workspace.dz.
    forward(n = this.load()) {
        const { workspace } = this, { nOut } = this.network;
        if (workspace.isRandom) workspace.at(this.seedHigh, this.seedLow, this.step);
        workspace.forward(n, true);
        return this.loss.value(workspace.z, this.batchT, workspace.dz, n * nOut, nOut, 1 / n, this.lossSettings);
    }

    // Compute the gradient of the next batch, as the update takes it but for clipping, and return its loss with l2.
    lossAndGradient(looked = false) {
        const n = this.load(), { l2, workspace } = this, { theta } = this.network, { gradient } = workspace;
        const value = this.forward(n);
        workspace.backward(n, looked);
        if (l2 === 0) return value;
        let squares = 0;
        for (const [start, stop, decays] of this.decaying) {
            if (!decays) continue;
            for (let i = start; i < stop; i++) {
                gradient[i] += l2 * theta[i];
                squares += theta[i] * theta[i];
            }
        }
        return value + (l2 / 2) * squares;
    }

    // The same, without leaving a trace in the running statistics: for those who look at what comes next.
    look() {
        const { state } = this.network;
        this.before.set(state);
        const value = this.lossAndGradient(true);
        state.set(this.before);
        return value;
    }

    // Make the next update; return the loss of its batch, or NaN if the run has diverged, and says why in `stopped`.
    train() {
        const { network, workspace, rule, slots, ruleSettings } = this, { theta } = network, { gradient } = workspace;
        const lr = this.rate, value = this.lossAndGradient();
        if (!Number.isFinite(value)) return this.stop(this.step + 1, lr);
        if (this.maxGradNorm !== null) clip(gradient, this.maxGradNorm);
        this.step += 1;
        for (const [start, stop, decays] of this.pieces) {
            if (decays) rule.decay(theta, gradient, slots, start, stop, lr, this.step, ruleSettings);
            else rule.update(theta, gradient, slots, start, stop, lr, this.step, ruleSettings);
        }
        this.done += 1;
        if (this.done < this.steps) return value;
        // a gradient can overflow although the loss is finite
        if (!theta.every(Number.isFinite) || !network.state.every(Number.isFinite)) return this.stop(this.step, lr);
        this.done = 0;
        this.epoch += 1;
        return value;
    }

    // Note where the run has diverged.
    stop(step, rate) {
        const layer = this.workspace.firstNotFinite(this.count);
        this.stopped = { step, epoch: this.epoch + 1, rate, layer };
        return NaN;
    }

    // All that changes in a run, copied.
    snapshot() {
        const { theta, state } = this.network;
        const slots = Object.fromEntries(Object.entries(this.slots).map(([name, slot]) => [name, slot.slice()]));
        return { step: this.step, epoch: this.epoch, done: this.done, theta: theta.slice(), state: state.slice(), slots };
    }

    // Go back to what `snapshot` gave.
    restore({ step, epoch, done, theta, state, slots }) {
        this.network.theta.set(theta);
        this.network.state.set(state);
        for (const [name, slot] of Object.entries(slots)) this.slots[name].set(slot);
        Object.assign(this, { step, epoch, done, stopped: null });
    }
}

// The mean loss of rows, as the network predicts them, in a workspace that has run forward.
export function lossOf(trainer, workspace, t, n) {
    const { nOut } = trainer.network;
    const scratch = (workspace.scratch ??= new Float64Array(workspace.z.length));
    return trainer.loss.value(workspace.z, t, scratch, n * nOut, nOut, 1 / n, trainer.lossSettings);
}

// Scale a gradient down to the norm ``limit`` if its norm is larger.
function clip(g, limit) {
    const norm = normOf(g);
    if (norm > limit && Number.isFinite(norm)) for (let i = 0; i < g.length; i++) g[i] *= limit / norm;
}

export function normOf(g) {
    let squares = 0;
    for (let i = 0; i < g.length; i++) squares += g[i] * g[i];
    if (Number.isFinite(squares)) return Math.sqrt(squares);
    let most = 0; // the squares may overflow although the entries are finite
    for (let i = 0; i < g.length; i++) most = Math.max(most, Math.abs(g[i]));
    squares = 0;
    for (let i = 0; i < g.length; i++) squares += (g[i] / most) ** 2;
    return most * Math.sqrt(squares);
}

// Return the settings of a rule or loss: those of its class, unless others are given. One that it has not is refused.
function withSettings(known, { settings = {}, ...named }) {
    const odd = Object.keys(settings).find((name) => !(name in known.settings));
    if (odd !== undefined) throw new Error(`the browser knows no setting ${odd} of ${Object.values(named)[0]}`);
    return { ...known.settings, ...settings };
}

// Return the parts of theta, [start, stop, whether they decay], neighbours of one kind together.
function piecesOf(tensors, byDecay) {
    const pieces = [];
    for (const { start, stop, decays } of tensors) {
        const last = pieces.at(-1), own = byDecay && decays;
        if (last && last[2] === own) last[1] = stop;
        else pieces.push([start, stop, own]);
    }
    return pieces;
}

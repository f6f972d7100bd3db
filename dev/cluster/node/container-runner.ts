import { join } from 'node:path';

import type { ContainerState, ContainerStatus, Pod } from '../objects.ts';
import { toTimestamp } from '../objects.ts';
import { checkImage, type ImageOracle, type ImageProblem, parseImageName } from './images.ts';
import { type Sandbox, type SandboxOrder, startSandbox } from './sandbox.ts';
import { type OrderContext, toOrder } from './sandbox-order.ts';

export interface RunnerContext extends OrderContext {
  readonly imageExists: ImageOracle;
  /** The delay before the second restart or the next attempt to pull. It doubles up to 32 times this value. */
  readonly backoffMs: number;
  readonly isInit: boolean;
  onChange(): void;
  onEvent(type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves after the time, or at once when `signal` is aborted. */
  pause(milliseconds: number): Promise<void>;
  readonly signal: AbortSignal;
}

export interface ContainerRunner {
  status(): ContainerStatus;
  sandbox(): Sandbox | undefined;
  logFile(): string;
  /** Kills the container. Its status has this reason instead of Error. */
  kill(reason: string): void;
  /** Runs the container until it does not restart any more. Resolves with whether its last exit code is 0. */
  run(): Promise<boolean>;
}

/** The kubelet's longest back-off is 5 minutes, about 32 times its first one of 10 s. */
const MAX_BACKOFF_FACTOR = 32;
/** The time between the states ErrImagePull and ImagePullBackOff. */
const PULL_ERROR_MS = 1000;

export function createContainerRunner(context: RunnerContext): ContainerRunner {
  return new Runner(context);
}

class Runner implements ContainerRunner {
  readonly #context: RunnerContext;
  readonly #logFile: string;
  readonly #status: ContainerStatus;
  #sandbox: Sandbox | undefined;
  #killReason: string | undefined;
  #runs = 0;
  #factor = 1;

  constructor(context: RunnerContext) {
    const { container, isInit, pod } = context;
    this.#context = context;
    this.#logFile = join(context.directory, `${container.name}.log`);
    const reason = isInit || !pod.spec.initContainers?.length ? 'ContainerCreating' : 'PodInitializing';
    this.#status = {
      name: container.name,
      state: { waiting: { reason } },
      lastState: {},
      ready: false,
      started: false,
      restartCount: 0,
      image: container.image,
      imageID: '',
    };
  }

  status(): ContainerStatus {
    return { ...this.#status };
  }

  sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  logFile(): string {
    return this.#logFile;
  }

  kill(reason: string): void {
    this.#killReason = reason;
    this.#sandbox?.kill('SIGKILL');
  }

  async run(): Promise<boolean> {
    const { pod, container, signal, isInit } = this.#context;
    while (!signal.aborted) {
      if (await this.#start()) {
        const exitCode = (await this.#sandbox?.exited) ?? 0;
        this.#sandbox = undefined;
        this.#terminate(exitCode, { reason: this.#killReason ?? (exitCode === 0 ? 'Completed' : 'Error') });
      }
      const { state } = this.#status;
      if ('terminated' in state) {
        const { exitCode } = state.terminated;
        if (signal.aborted || isOver(pod, isInit, exitCode)) return exitCode === 0;
        // As with the kubelet, the first restart has no delay.
        if (this.#runs === 1) continue;
        const seconds = Math.round((this.#context.backoffMs * this.#factor) / 1000);
        const message = `back-off ${seconds}s restarting failed container=${container.name} pod=${pod.metadata.name}`;
        this.#wait('CrashLoopBackOff', message);
        this.#context.onEvent('Warning', 'BackOff', message);
      }
      await this.#context.pause(this.#context.backoffMs * this.#factor);
      this.#factor = Math.min(this.#factor * 2, MAX_BACKOFF_FACTOR);
    }
    return 'terminated' in this.#status.state && this.#status.state.terminated.exitCode === 0;
  }

  /** Tries to start the container; returns whether it runs. */
  async #start(): Promise<boolean> {
    const context = this.#context;
    const problem = checkImage(context.container, context.imageExists);
    if (problem) {
      await this.#lackImage(problem);
      return false;
    }
    context.onEvent('Normal', 'Pulled', `Container image "${context.container.image}" already present on machine`);
    const order = await toOrder(context, this.#logFile);
    if (order.kind === 'failed') {
      context.onEvent('Warning', 'Failed', `Error: ${order.message}`);
      this.#wait(order.reason, order.message);
      return false;
    }
    return context.signal.aborted ? false : this.#launch(order.order);
  }

  /** Sets the kubelet's events and states: pkg/kubelet/images/image_manager.go */
  async #lackImage({ reason, message }: ImageProblem): Promise<void> {
    const { container, onEvent, pause, signal, backoffMs } = this.#context;
    const isPull = reason === 'ErrImagePull';
    if (isPull) onEvent('Normal', 'Pulling', `Pulling image "${container.image}"`);
    const first = { InvalidImageName: 'InspectFailed', ErrImageNeverPull: reason, ErrImagePull: 'Failed' }[reason];
    onEvent('Warning', first, isPull ? `Failed to pull image "${container.image}": ${message}` : message);
    onEvent('Warning', 'Failed', `Error: ${reason}`);
    this.#wait(reason, message);
    if (!isPull) return;
    await pause(Math.min(backoffMs, PULL_ERROR_MS));
    if (signal.aborted) return;
    const words = `Back-off pulling image "${container.image}"`;
    onEvent('Normal', 'BackOff', words);
    onEvent('Warning', 'Failed', 'Error: ImagePullBackOff');
    this.#wait('ImagePullBackOff', words);
  }

  async #launch(order: SandboxOrder): Promise<boolean> {
    const { pod, container, tools, signal, onEvent } = this.#context;
    this.#runs += 1;
    this.#status.containerID = `embedded://${pod.metadata.uid}-${container.name}-${this.#runs}`;
    const image = parseImageName(container.image);
    if (image.kind === 'valid') this.#status.image = image.name;
    this.#status.imageID = `embedded://${container.image}`;
    this.#status.restartCount = this.#runs - 1;
    onEvent('Normal', 'Created', `Created container ${container.name}`);
    const answer = await startSandbox(order, tools);
    if (answer.kind === 'failed') {
      onEvent('Warning', 'Failed', `Error: ${answer.message}`);
      if (answer.isRefusedCommand) this.#terminate(128, { reason: 'StartError', message: answer.message });
      else this.#wait('CreateContainerError', answer.message);
      return false;
    }
    this.#sandbox = answer.sandbox;
    this.#killReason = undefined;
    if ('terminated' in this.#status.state) this.#status.lastState = this.#status.state;
    onEvent('Normal', 'Started', `Started container ${container.name}`);
    this.#enter({ running: { startedAt: toTimestamp() } });
    // The Pod was stopped while this one started.
    if (signal.aborted) this.#sandbox.kill('SIGKILL');
    return true;
  }

  #terminate(exitCode: number, why: { readonly reason: string; readonly message?: string }): void {
    const { state, containerID = '' } = this.#status;
    const startedAt = 'running' in state ? state.running.startedAt : '1970-01-01T00:00:00Z';
    this.#enter({ terminated: { exitCode, ...why, startedAt, finishedAt: toTimestamp(), containerID } });
  }

  #wait(reason: string, message: string): void {
    if ('terminated' in this.#status.state) this.#status.lastState = this.#status.state;
    this.#enter({ waiting: { reason, message } });
  }

  #enter(state: ContainerState): void {
    const isDone = 'terminated' in state && state.terminated.exitCode === 0;
    this.#status.state = state;
    this.#status.started = 'running' in state;
    this.#status.ready = 'running' in state || (this.#context.isInit && isDone);
    this.#context.onChange();
  }
}

function isOver(pod: Pod, isInit: boolean, exitCode: number): boolean {
  const { restartPolicy } = pod.spec;
  if (restartPolicy === 'Never') return true;
  return exitCode === 0 && (isInit || restartPolicy === 'OnFailure');
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { Container, Pod } from '../objects.ts';
import { toTimestamp } from '../objects.ts';
import { type ContainerRunner, createContainerRunner } from './container-runner.ts';
import type { ImageOracle } from './images.ts';
import { toPodStatus, type Verdict } from './pod-status.ts';
import type { Tools } from './tools.ts';
import { watchSizes } from './volume-sizes.ts';
import { openVolumes } from './volumes.ts';

export interface WorkerContext {
  readonly tools: Tools;
  readonly imageExists: ImageOracle;
  readonly backoffMs: number;
  /** The directory of this Pod's volumes and logs; removed with it. */
  readonly directory: string;
  readonly rootScript: string;
  /** Returns the stored Pod; undefined if it was removed or replaced by another of its name. */
  read(): Pod | undefined;
  write(pod: Pod): void;
  isNodeSilent(): boolean;
  /** Whether updates of statuses are held. */
  isStatusHeld(): boolean;
  onEvent(pod: Pod, event: WorkerEvent): void;
}

export interface WorkerEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** The container of the event. */
  readonly fieldPath?: string;
}

/** The kubelet's work for one Pod. */
export interface PodWorker {
  runner(container: string): ContainerRunner | undefined;
  /** Writes the status if it has changed. */
  publish(): void;
  /** Kills everything and leaves the Pod as Failed with this verdict. */
  fail(verdict: Verdict): Promise<void>;
  /**
   * SIGTERM, then SIGKILL after the grace; resolves when no process and no directory is left. A later, shorter grace
   * counts.
   */
  stop(graceMs: number): Promise<void>;
}

export function startPodWorker(pod: Pod, context: WorkerContext): PodWorker {
  return new Worker(pod, context);
}

class Worker implements PodWorker {
  readonly #pod: Pod;
  readonly #context: WorkerContext;
  readonly #stopping = new AbortController();
  readonly #init: ContainerRunner[];
  readonly #main: ContainerRunner[];
  readonly #running: Promise<void>;
  #killTimer: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #stopMeasuring: () => void = () => undefined;
  #sources: ReadonlyMap<string, string> = new Map();
  #verdict: Verdict | undefined;

  constructor(pod: Pod, context: WorkerContext) {
    this.#pod = pod;
    this.#context = context;
    this.#init = (pod.spec.initContainers ?? []).map((container) => this.#createRunner(container, true));
    this.#main = pod.spec.containers.map((container) => this.#createRunner(container, false));
    this.#running = this.#run().catch((error: unknown) => {
      this.#tell({ type: 'Warning', reason: 'FailedSync', message: `error syncing pod: ${String(error)}` });
    });
    const seconds = pod.spec.activeDeadlineSeconds;
    if (seconds === undefined) return;
    const message = 'Pod was active on the node longer than the specified deadline';
    const fail = (): void => void this.fail({ reason: 'DeadlineExceeded', message });
    this.#deadline = setTimeout(fail, Math.min(seconds * 1000, MAX_TIMER_MS)).unref();
  }

  runner(container: string): ContainerRunner | undefined {
    return this.#all().find((runner) => runner.status().name === container);
  }

  publish(): void {
    const current = this.#context.read();
    if (!current || this.#context.isStatusHeld()) return;
    const init = this.#init.map((runner) => runner.status());
    const main = this.#main.map((runner) => runner.status());
    const status = toPodStatus(current, {
      init,
      main,
      verdict: this.#verdict,
      isNodeSilent: this.#context.isNodeSilent(),
    });
    if (JSON.stringify(status) !== JSON.stringify(current.status)) this.#context.write({ ...current, status });
  }

  fail(verdict: Verdict): Promise<void> {
    const phase = this.#context.read()?.status.phase;
    if (phase !== 'Succeeded' && phase !== 'Failed') this.#verdict = verdict;
    return this.#end(0);
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#all().some((runner) => runner.sandbox())) {
      this.#tell({ type: 'Normal', reason: 'Killing', message: `Stopping pod ${this.#pod.metadata.name}` });
    }
    await this.#end(graceMs);
    await rm(this.#context.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  async #run(): Promise<void> {
    this.publish();
    for (;;) {
      const volumes = await openVolumes(this.#pod, join(this.#context.directory, 'volumes'));
      if (volumes.kind === 'ready') {
        this.#sources = volumes.sources;
        const fail = (message: string): void => void this.fail({ reason: 'Evicted', message });
        this.#stopMeasuring = watchSizes(this.#pod, volumes.sources, fail);
        break;
      }
      this.#tell({ type: 'Warning', reason: 'FailedMount', message: volumes.message });
      await this.#pause(this.#context.backoffMs);
      if (this.#stopping.signal.aborted) return;
    }
    for (const runner of this.#init) {
      if (!(await runner.run())) return;
    }
    await Promise.all(this.#main.map((runner) => runner.run()));
  }

  async #end(graceMs: number): Promise<void> {
    clearTimeout(this.#deadline);
    this.#stopMeasuring();
    clearTimeout(this.#killTimer);
    this.#stopping.abort();
    const kill = (): void => this.#all().forEach((runner) => runner.sandbox()?.kill('SIGKILL'));
    if (graceMs <= 0) kill();
    else {
      for (const runner of this.#all()) runner.sandbox()?.kill('SIGTERM');
      this.#killTimer = setTimeout(kill, Math.min(graceMs, MAX_TIMER_MS));
    }
    await this.#running;
    clearTimeout(this.#killTimer);
    this.publish();
  }

  #all(): ContainerRunner[] {
    return [...this.#init, ...this.#main];
  }

  #tell(event: WorkerEvent): void {
    this.#context.onEvent(this.#pod, event);
  }

  #pause(milliseconds: number): Promise<void> {
    return delay(milliseconds, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => undefined);
  }

  #createRunner(container: Container, isInit: boolean): ContainerRunner {
    const { rootScript, tools, imageExists, backoffMs, directory } = this.#context;
    const fieldPath = `spec.${isInit ? 'initContainers' : 'containers'}{${container.name}}`;
    return createContainerRunner({
      pod: this.#pod,
      container,
      isInit,
      sources: () => this.#sources,
      directory: join(directory, 'logs'),
      rootScript,
      tools,
      imageExists,
      backoffMs,
      signal: this.#stopping.signal,
      onChange: () => this.publish(),
      onEvent: (type, reason, message) => this.#tell({ type, reason, message, fieldPath }),
      pause: (milliseconds) => this.#pause(milliseconds),
    });
  }
}

/** Node's timers overflow beyond 2^31 - 1 ms, about 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The first status of a Pod that was just bound: the scheduler's condition and the kubelet's start time. */
export function toBoundPod(pod: Pod, nodeName: string): Pod {
  const status = {
    ...pod.status,
    hostIP: '127.0.0.1',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    startTime: toTimestamp(),
  };
  return { ...pod, spec: { ...pod.spec, nodeName }, status };
}

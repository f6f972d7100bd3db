import { KeyedSemaphore } from '../limiter.ts';
import type { StepAgent } from './step-agent.ts';

/** Agents in the containers of a workspace, opened when they are needed and used again. */
export class AgentPool {
  readonly #open: (container: string) => StepAgent;
  readonly #maxAgents: number;
  readonly #slots: KeyedSemaphore;
  readonly #busy = new Set<StepAgent>();
  /** By container. */
  readonly agents: Map<string, StepAgent[]> = new Map();

  /** `maxAgents`: in one container. */
  constructor(open: (container: string) => StepAgent, maxAgents: number) {
    this.#open = open;
    this.#maxAgents = maxAgents;
    this.#slots = new KeyedSemaphore(maxAgents);
  }

  /** Lends an agent to `work` alone. Waits while all are in use. */
  async use<T>(container: string, work: (agent: StepAgent) => Promise<T>): Promise<T> {
    return await this.#slots.run(container, async () => {
      const agent = this.agents.get(container)?.find((one) => !this.#busy.has(one)) ?? this.#add(container);
      this.#busy.add(agent);
      try {
        return await work(agent);
      } finally {
        this.#busy.delete(agent);
      }
    });
  }

  /** Opens agents in advance, up to `count`. */
  warmUp(container: string, count: number): void {
    for (let opened = 0; opened < Math.min(count, this.#maxAgents); opened += 1) void this.#add(container).ready();
  }

  #add(container: string): StepAgent {
    const agent = this.#open(container);
    this.agents.set(container, [...(this.agents.get(container) ?? []), agent]);
    return agent;
  }
}

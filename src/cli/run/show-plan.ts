import { Document, Scalar, visit } from 'yaml';
import type { Cluster } from '../../engine/index.ts';
import { planPod } from '../../kube/index.ts';
import { planPipeline, type Pipeline, type PipelineEvent, type PlannedStage } from '../../pipeline/index.ts';
import { escapeControls } from '../escape-controls.ts';

/** What would run, a step a line: `c3 run --dry-run`. */
export function formatPlan(pipeline: Pipeline, event: PipelineEvent): string[] {
  const plan = planPipeline(pipeline, event);
  if (plan.kind === 'skipped') return [`# skipped: ${plan.reason}`];
  const { checkout } = pipeline;
  return [
    ...(checkout === false ? [] : [`# checkout  in "${checkout.container}", into ${checkout.path}`]),
    ...plan.steps.flatMap((stage) => formatStage(stage, '')),
    ...plan.finally.flatMap((stage) => formatStage(stage, 'finally: ')),
  ];
}

function formatStage({ steps }: PlannedStage, prefix: string): string[] {
  return steps.map(({ step, skipped, runsAfter }) => {
    const words = [
      `in "${step.container}"`,
      steps.length > 1 ? 'in parallel' : '',
      runsAfter.includes('success') ? '' : 'after a failure',
      step.retry > 0 ? `${step.retry + 1} attempts` : '',
      step.allowFailure ? 'may fail' : '',
      skipped === undefined ? '' : `skipped: ${skipped}`,
    ];
    return `# ${prefix}${step.name}  ${words.filter(Boolean).join(', ')}`;
  });
}

/** A cluster that is none: it takes the order for the Pod, as the engine makes it, and the build ends. */
export function createPodPrinter(print: (text: string) => void): Omit<Cluster, 'findWorkspace'> {
  return {
    openWorkspace(order) {
      print(formatYaml(planPod(order, { namespace: 'default' }).manifest));
      return Promise.resolve({ kind: 'aborted' });
    },
    close: () => Promise.resolve(),
  };
}

/** In it a character that a terminal obeys is an escape, in a text that is in double quotes for it. */
function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, scalar) {
      const { value: text } = scalar;
      if (typeof text === 'string' && escapeControls(text) !== text) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return escapeControls(document.toString().trimEnd());
}

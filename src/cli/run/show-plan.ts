import { Document, Scalar, visit } from 'yaml';
import type { Cluster } from '../../engine/index.ts';
import { planPod } from '../../kube/index.ts';
import { planPipeline, type Pipeline, type PipelineEvent, type PlannedStage } from '../../pipeline/index.ts';
import { escapeControls } from '../terminal.ts';

/** Formats what `c3 run --dry-run` prints: one line for each step. */
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

/** Creates a cluster that prints the requested Pod and ends the build. */
export function createPodPrinter(print: (text: string) => void): Omit<Cluster, 'findWorkspace'> {
  return {
    openWorkspace(order) {
      print(formatYaml(planPod(order, { namespace: 'default' }).manifest));
      return Promise.resolve({ kind: 'aborted' });
    },
    close: () => Promise.resolve(),
  };
}

/** Writes YAML in which control characters are escapes inside double quotes. */
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

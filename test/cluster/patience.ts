/**
 * How long a Pod may take to go, and another of its name to start. A Pod is gone when its dead containers are: a kubelet removes them
 * when it hears of their end, and where it missed that with its next collection of garbage, once a minute (`ContainerGCPeriod` in
 * Kubernetes' pkg/kubelet/kubelet.go); what dies while one is under way waits for the one after it. On a quiet machine 66 s were seen.
 */
export const REPLACE_POD_MS = 150_000;

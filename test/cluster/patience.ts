/**
 * How long a Pod may take to go, and another of its name to start. A Pod is gone when its dead containers are: a kubelet removes them
 * when it hears of their end, and where it missed that with its next collection of garbage, once a minute (`ContainerGCPeriod` in
 * Kubernetes' pkg/kubelet/kubelet.go).
 */
export const REPLACE_POD_MS = 90_000;

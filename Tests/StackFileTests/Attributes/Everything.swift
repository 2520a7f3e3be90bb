import StackModel

@testable import StackFile

/// A stack that says all that can be said: every key of the schema table, none of them with its default.
enum Everything {
    static let project = project(file)

    /// A stack file in the folder of the files that `file` names.
    static func project(_ text: String) -> MemoryProject {
        var project = MemoryProject(files: others)
        project.files["/work/demo/compose.yaml"] = text
        project.environment["TOKEN"] = "secret"
        return project
    }

    static let others = [
        "/work/demo/full.env": "QUOTED=\"as it stands\"\n", "/work/demo/full.labels": "from.file=yes\n",
        "/work/demo/settings.ini": "[main]\n", "/work/demo/key.pem": "key\n",
        "/work/demo/base.yaml": "services:\n  base: {image: base, user: daemon}\n  full: {image: wrong}\n",
        "/work/demo/included.yaml": "services:\n  included: {image: \"${IMAGE:-none}\", volumes: [\"./data:/data\"]}\n",
        "/work/demo/parts/other.env": "IMAGE=other\n",
    ]

    static let file = services + deployed + scheduled + resources

    private static let services = """
        version: "3"
        name: everything
        include:
          - path: included.yaml
            project_directory: parts
            env_file: parts/other.env
        services:
          full:
            image: registry.example/full:1
            pull_policy: refresh
            pull_refresh_after: 36h
            platform: linux/arm64/v8
            command: [serve, --now]
            entrypoint: [/bin/start]
            environment: {PLAIN: text, UNSET: }
            env_file:
              - {path: full.env, format: raw}
              - {path: missing.env, required: false}
            user: "10:20"
            working_dir: /srv
            init: true
            tty: true
            stdin_open: true
            attach: false
            healthcheck:
              test: [CMD, probe]
              interval: 1s
              timeout: 2s
              retries: 4
              start_period: 5s
              start_interval: 6s
            pre_start:
              - command: [migrate]
                image: tool
                user: root
                privileged: true
                working_dir: /tool
                environment: {A: b}
                per_replica: true
            post_start:
              - {command: [warm], user: root, privileged: true, working_dir: /warm, environment: {A: b}}
            pre_stop:
              - {command: [drain], user: root, privileged: true, working_dir: /drain, environment: {A: b}}
            stop_signal: SIGINT
            stop_grace_period: 1m
            scale: 2
            restart: on-failure:3
            depends_on:
              deployed: {condition: service_healthy, restart: true, required: false}
            profiles: [debug]
            hostname: host
            domainname: example.org
            labels: {written: "yes"}
            label_file: [full.labels]
            annotations: {org.example.note: x}
            logging: {driver: syslog, options: {tag: t}}
            volumes:
              - type: bind
                source: ./www
                target: /www
                read_only: true
                consistency: cached
                bind: {propagation: rslave, create_host_path: false, recursive: readonly, selinux: Z}
              - type: volume
                source: data
                target: /data
                volume: {nocopy: true, subpath: inner, labels: {kind: x}}
              - {type: tmpfs, target: /fast, tmpfs: {size: 1m, mode: 0o1770}}
              - {type: image, source: tool, target: /tool, image: {subpath: bin}}
            tmpfs: [/run]
            volumes_from: [deployed]
            configs:
              - {source: settings, target: /etc/settings, uid: "1", gid: "2", mode: 0o400}
            secrets:
              - {source: token, target: /etc/token, uid: "3", gid: "4", mode: 0o440}
            devices:
              - {source: /dev/a, target: /dev/b, permissions: r}
            device_cgroup_rules: ["c 1:3 mr"]
            gpus:
              - {capabilities: [utility], driver: nvidia, count: 2, options: {a: b}}
              - {capabilities: [tpu], device_ids: [id0]}
            read_only: true
            shm_size: 64m
            storage_opt: {size: 1G}
            use_api_socket: true
            ports:
              - target: 80
                published: "8080-8090"
                host_ip: 127.0.0.1
                protocol: udp
                mode: host
                name: web
                app_protocol: http
            expose: ["9000"]
            networks:
              front:
                aliases: [www]
                interface_name: eth7
                ipv4_address: 10.9.0.5
                ipv6_address: "fd00::5"
                link_local_ips: [169.254.1.5]
                mac_address: "02:42:ac:11:65:43"
                driver_opts: {a: b}
                priority: 10
                gw_priority: 20
            links: [deployed:other]
            external_links: [legacy:old]
            extra_hosts: ["host.local=10.1.1.1"]
            dns: [9.9.9.9]
            dns_search: [example.org]
            dns_opt: ["ndots:2"]
            models:
              llm: {endpoint_var: LLM_ENDPOINT, model_var: LLM_NAME}
            privileged: true
            cap_add: [NET_ADMIN]
            cap_drop: [ALL]
            security_opt: [no-new-privileges=true]
            group_add: [audio]
            pid: host
            ipc: shareable
            userns_mode: host
            uts: host
            cgroup: host
            cgroup_parent: parent
            runtime: crun
            isolation: hyperv
            credential_spec: {config: a, file: b, registry: c}
            sysctls: {net.core.somaxconn: 1024}
            mem_limit: 512m
            mem_reservation: 256m
            mem_swappiness: 60
            memswap_limit: 1g
            cpus: 1.5
            cpu_shares: 512
            cpu_quota: 5000
            cpu_period: 10000
            cpu_rt_period: 1000
            cpu_rt_runtime: 900
            cpuset: 0-1
            cpu_count: 2
            cpu_percent: 50
            pids_limit: 100
            blkio_config:
              weight: 300
              weight_device: [{path: /dev/sda, weight: 400}]
              device_read_bps: [{path: /dev/sda, rate: 1m}]
              device_read_iops: [{path: /dev/sda, rate: 100}]
              device_write_bps: [{path: /dev/sda, rate: 2m}]
              device_write_iops: [{path: /dev/sda, rate: 200}]
            ulimits: {nofile: {soft: 10, hard: 20}}
            oom_score_adj: 500
            oom_kill_disable: true
            x-gantry:
              rollout:
                min_healthy_time: 1s
                healthy_deadline: 2s
                progress_deadline: 3s
                drain: 4s
                canary: 1
                auto_promote: true
                auto_rollback: true
              reload: {signal: SIGHUP}
              session_affinity: client_ip
              drift:
                {
                policy: warn, paused_max: 5m, exited: ignore, deleted: ignore, paused: ignore,
                unhealthy: ignore, image: ignore, stack: ignore, content: ignore, limits: ignore,
                network: ignore, firewall: ignore, dns: ignore, volume: ignore,
                volume_options: ignore, orphan: ignore, foreign: ignore, inside: ignore,
                sysctl: ignore
                }

        """

    private static let scheduled = """
          scheduled:
            image: scheduled
            x-gantry:
              schedule:
                cron: "0 3 * * *"
                time_zone: Europe/Berlin
                concurrency: forbid
                deadline: 5m
                timeout: 1h
                history: {succeeded: 2, failed: 1}
                suspend: true

        """

    private static let deployed = """
          deployed:
            image: deployed
            container_name: the-one
            mac_address: "02:42:ac:11:65:44"
            healthcheck: {disable: true}
            x-gantry: {reload: {command: [reload, now]}}
          sized:
            image: sized
            deploy:
              mode: global
              endpoint_mode: dnsrr
              replicas: 3
              labels: {kind: service}
              update_config: &update
                parallelism: 2
                delay: 1s
                failure_action: pause
                monitor: 2s
                max_failure_ratio: 0.5
                order: start-first
              rollback_config: *update
              resources:
                limits: {cpus: "1.5", memory: 1g, pids: 7}
                reservations:
                  cpus: "0.5"
                  memory: 512m
                  generic_resources: [{discrete_resource_spec: {kind: ssd, value: 2}}]
                  devices:
                    - {capabilities: [gpu], driver: nvidia, count: 1, options: {a: b}}
                    - {capabilities: [tpu], device_ids: [id1]}
              restart_policy: {condition: on-failure, delay: 5s, max_attempts: 4, window: 6s}
              placement:
                constraints: [node.labels.disk==ssd]
                preferences: [{spread: node.labels.zone}]
                max_replicas_per_node: 5
          built:
            build:
              context: ./src
              dockerfile: Other.Dockerfile
              args: {VERSION: "1"}
              ssh: [default]
              labels: {built: "yes"}
              cache_from: [type=local]
              cache_to: [type=inline]
              no_cache: true
              no_cache_filter: [base]
              additional_contexts: {more: ./more}
              network: host
              provenance: "true"
              sbom: "true"
              pull: true
              target: final
              shm_size: 32m
              extra_hosts: ["build.local=10.1.1.2"]
              isolation: process
              privileged: true
              entitlements: [network.host]
              secrets: [{source: token, target: npm, uid: "5", gid: "6", mode: 0o400}]
              tags: ["built:1"]
              ulimits: {nproc: {soft: 1, hard: 2}}
              platforms: [linux/amd64]
            develop:
              watch:
                - path: ./src
                  action: sync+exec
                  target: /src
                  include: ["*.js"]
                  ignore: [node_modules]
                  initial_sync: true
                  exec: {command: [build], user: root, privileged: true, working_dir: /w, environment: {A: b}}
          inlined:
            build: {dockerfile_inline: "FROM scratch"}
          hosted: {image: hosted, network_mode: host}
          provided:
            provider: {type: cloud, options: {size: [big, bigger]}}
          derived:
            extends: {file: base.yaml, service: base}

        """

    private static let resources = """
        jobs:
          nightly:
            image: report
            triggers:
              manual: true
              schedule: [{cron: "0 3 * * *"}]
        networks:
          front:
            name: the-front
            driver: macvlan
            driver_opts: {parent: eth0}
            internal: true
            attachable: true
            enable_ipv4: true
            enable_ipv6: true
            ipam:
              driver: custom
              config:
                - {subnet: 10.9.0.0/16, ip_range: 10.9.1.0/24, gateway: 10.9.0.1, aux_addresses: {a: 10.9.0.2}}
                - {subnet: "fd00::/64"}
              options: {a: b}
            labels: {kind: network}
          outside: {name: theirs, external: true}
          renamed: {external: {name: old-name}}
        volumes:
          data:
            name: the-data
            driver: nfs
            driver_opts: {device: ":/x"}
            labels: {kind: volume}
          kept: {name: theirs, external: true}
          renamed: {external: {name: old-name}}
        configs:
          settings: {name: the-settings, file: settings.ini, labels: {kind: config}, template_driver: golang}
          inline: {content: text}
          variable: {environment: TOKEN}
          kept: {external: true}
          renamed: {external: {name: old-name}}
        secrets:
          token: {environment: TOKEN, name: the-token, labels: {kind: secret}, template_driver: golang}
          key: {file: key.pem}
          stored: {driver: vault, driver_opts: {path: x}}
          kept: {external: true}
          renamed: {external: {name: old-name}}
        models:
          llm: {name: the-llm, model: ai/model, context_size: 1024, runtime_flags: [--fast]}
        x-gantry:
          drift:
            {
            policy: warn, paused_max: 5m, exited: ignore, deleted: ignore, paused: ignore,
            unhealthy: ignore, image: ignore, stack: ignore, content: ignore, limits: ignore,
            network: ignore, firewall: ignore, dns: ignore, volume: ignore, volume_options: ignore,
            orphan: ignore, foreign: ignore, inside: ignore, sysctl: ignore,
            ignore: [services.full.image]
            }
          revisions: 5
        """
}

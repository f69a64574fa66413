#include "management/store/schema_catalog.h"

namespace nb::management::schema {

std::span<const Table> main_tables() {
  static const std::vector<Table> kTables = {
      {"access_log_entries",
       "id text, account_id text, service_id text, timestamp time, "
       "location_connection_ip text, location_country_code text, location_city_name text, "
       "location_geo_name_id int, subdivision_code text, method text, host text, path text, "
       "duration int, status_code int, reason text, user_id text, auth_method_used text, "
       "bytes_upload int, bytes_download int, protocol text, metadata text, "
       "agent_network bool",
       "id",
       {{"idx_access_log_entries_account_id", "account_id"},
        {"idx_access_log_entries_agent_network", "agent_network"},
        {"idx_access_log_entries_auth_method_used", "auth_method_used"},
        {"idx_access_log_entries_bytes_download", "bytes_download"},
        {"idx_access_log_entries_bytes_upload", "bytes_upload"},
        {"idx_access_log_entries_duration", "duration"},
        {"idx_access_log_entries_host", "host"},
        {"idx_access_log_entries_method", "method"},
        {"idx_access_log_entries_path", "path"},
        {"idx_access_log_entries_protocol", "protocol"},
        {"idx_access_log_entries_service_id", "service_id"},
        {"idx_access_log_entries_status_code", "status_code"},
        {"idx_access_log_entries_timestamp", "timestamp"},
        {"idx_access_log_entries_user_id", "user_id"}},
       {}},
      {"account_onboardings",
       "account_id text, onboarding_flow_pending bool, signup_form_pending bool, "
       "created_at time, updated_at time",
       "account_id",
       {},
       {{"fk_accounts_onboarding", "account_id", "accounts", true}}},
      {"accounts",
       "id text, created_by text, created_at time, domain text, domain_category text, "
       "is_domain_primary_account bool, network_identifier text, network_net text, "
       "network_net_v6 text, network_dns text, network_serial int, "
       "dns_settings_disabled_management_groups text, "
       "settings_peer_login_expiration_enabled bool, settings_peer_login_expiration int, "
       "settings_peer_inactivity_expiration_enabled bool, "
       "settings_peer_inactivity_expiration int, settings_regular_users_view_blocked bool, "
       "settings_groups_propagation_enabled bool, settings_jwt_groups_enabled bool, "
       "settings_jwt_groups_claim_name text, settings_jwt_allow_groups text, "
       "settings_routing_peer_dns_resolution_enabled bool, settings_dns_domain text, "
       "settings_network_range text, settings_network_range_v6 text, "
       "settings_peer_expose_enabled bool, settings_peer_expose_groups text, "
       "settings_extra_peer_approval_enabled bool, "
       "settings_extra_user_approval_required bool, "
       "settings_extra_integrated_validator text, "
       "settings_extra_integrated_validator_groups text, "
       "settings_lazy_connection_enabled bool = false, "
       "settings_auto_update_version text = 'disabled', "
       "settings_auto_update_always bool = false, settings_ipv6_enabled_groups text, "
       "settings_metrics_push_enabled bool = false, "
       "settings_agent_network_only bool = false, settings_dashboard_features text, "
       "settings_local_mfa_enabled bool, reverse_proxy_free_domain_nonce text",
       "id",
       {{"idx_accounts_domain", "domain"}},
       {}},
      {"domains",
       "id text, domain text, account_id text, target_cluster text, validated bool",
       "id",
       {{"idx_domains_account_id", "account_id"}},
       {{"fk_accounts_domains", "account_id", "accounts"}},
       {{"uni_domains_domain", "domain"}},
       "uni_domains_id"},
      {"extra_settings",
       "peer_approval_enabled bool, user_approval_required bool, integrated_validator text, "
       "integrated_validator_groups text",
       "",
       {},
       {}},
      {"group_peers",
       "account_id text, group_id text, peer_id text",
       "group_id, peer_id",
       {{"idx_group_peers_account_id", "account_id"}},
       {{"fk_groups_group_peers", "group_id", "groups", true}}},
      {"groups",
       "id text, account_id text, public_id text, name text, issued text, resources text, "
       "integration_ref_id int, integration_ref_integration_type text",
       "id",
       {{"idx_groups_account_id", "account_id"}},
       {{"fk_accounts_groups_g", "account_id", "accounts"}}},
      {"installations", "id serial, installation_id_value text", "id", {}, {}},
      {"jobs",
       "id text, created_at time, completed_at time, triggered_by text, peer_id text, "
       "account_id text, status text50, failed_reason text, workload_workload_type text50, "
       "workload_parameters json, workload_result json",
       "id",
       {{"idx_jobs_account_id", "account_id"},
        {"idx_jobs_peer_id", "peer_id"},
        {"idx_jobs_status", "status"},
        {"idx_jobs_triggered_by", "triggered_by"},
        {"idx_jobs_type", "workload_workload_type"}},
       {}},
      {"name_server_groups",
       "id text, account_id text, public_id text, name text, description text, "
       "name_servers text, groups text, primary bool, domains text, enabled bool, "
       "search_domains_enabled bool",
       "id",
       {{"idx_name_server_groups_account_id", "account_id"}},
       {{"fk_accounts_name_server_groups_g", "account_id", "accounts"}}},
      {"network_addresses", "net_ip text, mac text", "", {}, {}},
      {"network_resources",
       "id text, network_id text, account_id text, public_id text, name text, "
       "description text, type text, domain text, prefix text, enabled bool",
       "id",
       {{"idx_network_resources_account_id", "account_id"},
        {"idx_network_resources_network_id", "network_id"}},
       {{"fk_accounts_network_resources", "account_id", "accounts"}}},
      {"network_routers",
       "id text, network_id text, account_id text, public_id text, peer text, "
       "peer_groups text, masquerade bool, metric int, enabled bool",
       "id",
       {{"idx_network_routers_account_id", "account_id"},
        {"idx_network_routers_network_id", "network_id"}},
       {{"fk_accounts_network_routers", "account_id", "accounts"}}},
      {"networks",
       "id text, account_id text, public_id text, name text, description text",
       "id",
       {{"idx_networks_account_id", "account_id"}},
       {{"fk_accounts_networks", "account_id", "accounts"}}},
      {"peers",
       "id text, account_id text, key text, ip text, ipv6 text, meta_hostname text, "
       "meta_go_os text, meta_kernel text, meta_core text, meta_platform text, "
       "meta_os text, meta_os_version text, meta_wt_version text, meta_ui_version text, "
       "meta_kernel_version text, meta_network_addresses text, "
       "meta_system_serial_number text, meta_system_product_name text, "
       "meta_system_manufacturer text, meta_environment text, meta_flags text, "
       "meta_files text, meta_capabilities text, meta_sync_message_version int, "
       "proxy_meta_embedded bool, proxy_meta_cluster text, name text, dns_label text, "
       "peer_status_last_seen time, peer_status_session_started_at int required = 0, "
       "peer_status_connected bool, peer_status_login_expired bool, "
       "peer_status_requires_approval bool, user_id text, ssh_key text, ssh_enabled bool, "
       "login_expiration_enabled bool, inactivity_expiration_enabled bool, last_login time, "
       "created_at time, ephemeral bool, location_connection_ip text, "
       "location_country_code text, location_city_name text, location_geo_name_id int, "
       "extra_dns_labels text, allow_extra_dns_labels bool",
       "id",
       {{"idx_peers_account_id", "account_id"},
        {"idx_peers_cluster", "proxy_meta_cluster"},
        {"idx_peers_embedded", "proxy_meta_embedded"},
        {"idx_peers_ephemeral", "ephemeral"},
        {"idx_peers_name", "name"},
        {"idx_account_dnslabel", "account_id, dns_label", true},
        {"idx_account_ip", "account_id, ip", true},
        {"idx_peers_key_unique", "key", true}},
       {{"fk_accounts_peers_g", "account_id", "accounts"}}},
      {"personal_access_tokens",
       "id text, user_id text, name text, hashed_token text, expiration_date time, "
       "created_by text, created_at time, last_used time",
       "id",
       {{"idx_personal_access_tokens_user_id", "user_id"}},
       {{"fk_users_pa_ts_g", "user_id", "users", true}}},
      {"policies",
       "id text, public_id text, account_id text, name text, description text, "
       "enabled bool, source_posture_checks text",
       "id",
       {{"idx_policies_account_id", "account_id"}},
       {{"fk_accounts_policies", "account_id", "accounts"}}},
      {"policy_rules",
       "id text, policy_id text, name text, description text, enabled bool, action text, "
       "destinations text, destination_resource text, sources text, source_resource text, "
       "bidirectional bool, protocol text, ports text, port_ranges text, "
       "authorized_groups text, authorized_user text",
       "id",
       {{"idx_policy_rules_policy_id", "policy_id"}},
       {{"fk_policies_rules", "policy_id", "policies", true}}},
      {"posture_checks",
       "id text, name text, description text, account_id text, public_id text, checks text",
       "id",
       {{"idx_posture_checks_account_id", "account_id"}},
       {{"fk_accounts_posture_checks", "account_id", "accounts"}}},
      {"proxies",
       "id text255, session_id text36, cluster_address text255 required, ip_address text45, "
       "account_id text255, last_seen time required, connected_at time, "
       "disconnected_at time, status text20 required, supports_custom_ports bool, "
       "require_subdomain bool, supports_crowdsec bool, private bool, created_at time, "
       "updated_at time",
       "id",
       {{"idx_proxy_account_id", "account_id"},
        {"idx_proxy_cluster_status", "cluster_address, status"},
        {"idx_proxy_last_seen", "last_seen"}},
       {}},
      {"proxy_access_tokens",
       "id text, name text, hashed_token text255, account_id text, expires_at time, "
       "created_by text, created_at time, last_used time, revoked bool",
       "id",
       {{"idx_proxy_access_tokens_account_id", "account_id"},
        {"idx_proxy_access_tokens_hashed_token", "hashed_token", true}},
       {}},
      {"records",
       "account_id text, zone_id text, id text, name text, type text, content text, ttl int",
       "id",
       {{"idx_records_account_id", "account_id"}, {"idx_records_zone_id", "zone_id"}},
       {{"fk_zones_records", "zone_id", "zones"}}},
      {"routes",
       "id text, account_id text, public_id text, network text, domains text, "
       "keep_route bool, net_id text, description text, peer text, peer_groups text, "
       "network_type int, masquerade bool, metric int, enabled bool, groups text, "
       "access_control_groups text, skip_auto_apply bool",
       "id",
       {{"idx_routes_account_id", "account_id"}},
       {{"fk_accounts_routes_g", "account_id", "accounts"}}},
      {"services",
       "id text, account_id text, name text, domain text255, proxy_cluster text, "
       "enabled bool, terminated bool, pass_host_header bool, rewrite_redirects bool, "
       "auth text, restrictions text, meta_created_at time, "
       "meta_certificate_issued_at time, meta_status text, meta_last_renewed_at time, "
       "session_private_key text, session_public_key text, source text = 'permanent', "
       "source_peer text, mode text = 'http', listen_port int4, port_auto_assigned bool, "
       "private bool, access_groups text",
       "id",
       {{"idx_service_source_peer", "source, source_peer"},
        {"idx_services_account_id", "account_id"},
        {"idx_services_proxy_cluster", "proxy_cluster"},
        {"idx_services_domain", "domain", true}},
       {{"fk_accounts_services", "account_id", "accounts"}}},
      {"setup_keys",
       "id text, account_id text, key text, key_secret text, name text, type text, "
       "created_at time, expires_at time, updated_at time, revoked bool, used_times int, "
       "last_used time, auto_groups text, usage_limit int, ephemeral bool, "
       "allow_extra_dns_labels bool",
       "id",
       {{"idx_setup_keys_account_id", "account_id"}, {"idx_setup_keys_key_secret", "key_secret"}},
       {{"fk_accounts_setup_keys_g", "account_id", "accounts"}}},
      {"targets",
       "id serial, account_id text required, service_id text required, path text, "
       "host text, port int4, protocol text, target_id text, target_type text, "
       "enabled bool, skip_tls_verify bool, request_timeout int, session_idle_timeout int, "
       "path_rewrite text, custom_headers text, direct_upstream bool, middlewares text, "
       "capture_max_request_bytes int, capture_max_response_bytes int, "
       "capture_content_types text, agent_network bool, disable_access_log bool, "
       "proxy_protocol bool",
       "id",
       {{"idx_service_targets", "service_id"},
        {"idx_target_account", "account_id"},
        {"idx_target_enabled", "enabled"},
        {"idx_target_id", "target_id"},
        {"idx_target_port", "port"},
        {"idx_target_protocol", "protocol"},
        {"idx_target_type", "target_type"}},
       {{"fk_services_targets", "service_id", "services", true}}},
      {"user_invites",
       "id text, account_id text required, email text required, name text required, "
       "role text required, auto_groups text, hashed_token text required, "
       "expires_at time required, created_at time required, created_by text required",
       "id",
       {{"idx_user_invites_account_id", "account_id"},
        {"idx_user_invites_email", "email"},
        {"idx_user_invites_hashed_token", "hashed_token"}},
       {}},
      {"users",
       "id text, account_id text, role text, is_service_user bool, non_deletable bool, "
       "service_user_name text, auto_groups text, blocked bool, pending_approval bool, "
       "last_login time, created_at time, issued text = 'api', integration_ref_id int, "
       "integration_ref_integration_type text, name text = '', email text = ''",
       "id",
       {{"idx_users_account_id", "account_id"}},
       {{"fk_accounts_users_g", "account_id", "accounts"}}},
      {"zones",
       "id text, account_id text, name text, domain text, enabled bool, "
       "enable_search_domain bool, distribution_groups text",
       "id",
       {{"idx_zones_account_id", "account_id"}},
       {}},
  };
  return kTables;
}

std::span<const Table> event_tables() {
  static const std::vector<Table> kTables = {
      {"deleted_users",
       "id text, email text required, name text, enc_algo text required",
       "id",
       {},
       {}},
      {"events",
       "timestamp time, activity int4, id serial, initiator_id text, target_id text, "
       "account_id text, meta text",
       "id",
       {{"idx_events_account_id", "account_id"}},
       {}},
  };
  return kTables;
}

}  // namespace nb::management::schema

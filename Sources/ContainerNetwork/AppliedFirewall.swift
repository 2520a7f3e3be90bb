struct AppliedFirewall {}

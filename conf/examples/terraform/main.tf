# Policies and sets by Terraform or OpenTofu, with the provider Mastercard/restapi.
#
#   TF_VAR_token=$(cat token) terraform apply
#
# PUT by name creates and updates, so one method does for both; the provider reads the
# object afterwards and compares it. Everything comes back as it was sent, but "status",
# which is the server's: hence ignore_changes_to. (query_string = "view=spec" would do for
# reading, but the provider adds it to every call, and DELETE knows no such parameter.)

terraform {
  required_providers {
    restapi = {
      source  = "Mastercard/restapi"
      version = ">= 2.0"
    }
  }
}

variable "shield" {
  type    = string
  default = "https://shield.example.com:9443"
}

variable "token" {
  type      = string
  sensitive = true
}

provider "restapi" {
  uri           = var.shield
  bearer_token  = var.token
  id_attribute  = "name"
  create_method = "PUT"
  update_method = "PUT"
  test_path     = "/v1"
}

# One policy by itself.
resource "restapi_object" "search" {
  path              = "/v1/policies"
  create_path       = "/v1/policies/{id}"
  data              = file("${path.module}/policy.json")
  ignore_changes_to = ["status"]
}

# Everything of one owner: policies, lists, apps and responses, replaced at once. What is
# in a set cannot be a resource by itself as well.
resource "restapi_object" "web" {
  path              = "/v1/sets"
  create_path       = "/v1/sets/{id}"
  data              = jsonencode(merge({ name = "web" }, jsondecode(file("${path.module}/../web.json"))))
  ignore_changes_to = ["status"]
}

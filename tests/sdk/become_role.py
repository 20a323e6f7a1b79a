"""Make an execution role, become it, and print the credentials as JSON: what a notebook on SageMaker has."""

import json

import boto3

ANYONE = json.dumps({"Version": "2012-10-17", "Statement": []})

role = boto3.client("iam").create_role(
    Path="/service-role/", RoleName="AmazonSageMaker-ExecutionRole", AssumeRolePolicyDocument=ANYONE
)["Role"]
credentials = boto3.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="notebook")["Credentials"]
print(
    json.dumps(
        {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }
    )
)
